#!/bin/sh
# gpu_bundle.sh FOLDER PLUGIN PROGRAM...: gathers in FOLDER what a GPU machine needs to run
# gpu_check.sh: bin/ with the programs, lib/ with the plugin and the shared libraries that a bare
# machine lacks, all stripped. gpu_programs.txt is there already. Fails past 60 MiB.
set -eu
folder=$1
plugin=$2
shift 2
mib_max=60

rm -rf "$folder/bin" "$folder/lib"
mkdir -p "$folder/bin" "$folder/lib"
strip -o "$folder/lib/$(basename "$plugin")" "$plugin"
for program in "$@"; do
  strip -o "$folder/bin/$(basename "$program")" "$program"
done

# What every Linux machine with a C++ program on it has stays behind.
common='/(libc|libm|libdl|librt|libpthread|libgcc_s|libstdc\+\+|ld-linux.*)\.so'
for file in "$folder"/bin/* "$folder"/lib/*; do
  [ -f "$file" ] && ldd "$file" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// { print $3 }'
done | sort -u | grep -v -E "$common" |
  while read -r library; do
    strip -o "$folder/lib/$(basename "$library")" "$library"
  done

kib=$(du -sk "$folder" | cut -f 1)
echo "gpu_bundle: $# programs, $((kib / 1024)) MiB in $folder"
if [ "$kib" -gt $((mib_max * 1024)) ]; then
  echo "gpu_bundle: more than $mib_max MiB:"
  du -k "$folder"/bin/* "$folder"/lib/* | sort -rn | head -n 10
  exit 1
fi
