#!/bin/sh
# gpu_bundle.sh SOURCE FOLDER FLOORS PLUGIN PROGRAM...: gathers in FOLDER what a GPU machine needs
# to run gpu_check.sh: bin/ with the programs, floor/ with those of the folder FLOORS (may be
# empty), lib/ with the plugin and the shared libraries that a bare machine lacks, all stripped; the
# script and the commit. gpu_programs.txt is there already. Fails where a tar.gz of it, which is
# what is carried, is more than 55 MiB.
set -eu
source=$1
folder=$2
floors=$3
plugin=$4
shift 4
mib_max=55

rm -rf "${folder:?}/bin" "${folder:?}/lib" "${folder:?}/floor"
mkdir -p "$folder/bin" "$folder/lib" "$folder/floor"
strip -o "$folder/lib/$(basename "$plugin")" "$plugin"
for program in "$@"; do
  strip -o "$folder/bin/$(basename "$program")" "$program"
done
if [ -n "$floors" ]; then
  for program in "$floors"/*; do
    if [ -f "$program" ] && [ -x "$program" ]; then
      strip -o "$folder/floor/$(basename "$program")" "$program"
    fi
  done
fi
cp "$source/cmake/gpu_check.sh" "$folder/"
commit=$(git -C "$source" rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
[ -z "$(git -C "$source" status --porcelain 2>/dev/null)" ] || commit="$commit with changes"
echo "$commit" >"$folder/commit.txt"

# What every Linux machine with a C++ program on it has stays behind.
common='/(libc|libm|libdl|librt|libpthread|libgcc_s|libstdc\+\+|ld-linux.*)\.so'
for file in "$folder"/bin/* "$folder"/lib/*; do
  [ -f "$file" ] && ldd "$file" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// { print $3 }'
done | sort -u | grep -v -E "$common" |
  while read -r library; do
    strip -o "$folder/lib/$(basename "$library")" "$library"
  done

kib=$(($(tar -cz -C "$folder" . | wc -c) / 1024))
echo "gpu_bundle: $# programs, $((kib / 1024)) MiB as a tar.gz, in $folder"
if [ "$kib" -gt $((mib_max * 1024)) ]; then
  echo "gpu_bundle: more than $mib_max MiB:"
  du -k "$folder"/bin/* "$folder"/lib/* | sort -rn | head -n 10
  exit 1
fi
