#!/bin/sh
# gpu_check.sh FOLDER OUT [SECONDS]: works through what the target `gpu_bundle` gathered in FOLDER,
# on a machine with a GPU: tests, then tests under compute-sanitizer, then floor programs and
# benchmarks. Ends within SECONDS (420 where none are given) whatever a program does: each has a
# time of its own, is killed past it, and is not waited for after that.
#
# FOLDER has gpu_programs.txt (see sheaf_gpu_program in cuda.cmake), bin/, lib/, and floor/ with
# programs that measure what the machine can do. OUT gets table.md and outputs.txt, written as it
# goes. SHEAF_GPU_ONLY, an extended regular expression, picks programs by name; SHEAF_GPU_KINDS
# picks among "test sanitize bench floor". Exits with 0 where nothing failed; a skipped program is
# no failure and is named.
set -u
[ $# -ge 2 ] || { echo "usage: sh gpu_check.sh FOLDER OUT [SECONDS]"; exit 2; }
folder=$(CDPATH='' cd -- "$1" && pwd) || exit 2
mkdir -p "$2" && out=$(CDPATH='' cd -- "$2" && pwd) || exit 2
seconds=${3:-420}
only=${SHEAF_GPU_ONLY:-.}
kinds=" ${SHEAF_GPU_KINDS:-test sanitize bench floor} "
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LD_LIBRARY_PATH="$folder/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export SHEAF_CUDA_PLUGIN="$folder/lib/libsheaf_cuda.so"

now_ms() { echo $(($(date +%s%N) / 1000000)); }
begin=$(now_ms)
# Shares of the whole after which tests, and then sanitized tests, are no longer begun.
tests_end=$((begin + seconds * 450))
sanitize_end=$((begin + seconds * 650))
# Kept back for the table.
end=$((begin + seconds * 1000 - 3000))
failures=0
output_bytes_max=1000000

: >"$out/outputs.txt"
: >"$work/rows"
: >"$work/figures"
: >"$work/failed"

# run_bounded LOG SECONDS COMMAND...: sets `code` (124: killed past its time) and `took_ms`.
run_bounded() {
  log=$1
  limit_ms=$(($2 * 1000))
  shift 2
  rm -f "$work/code"
  started=$(now_ms)
  # The inner shell expands.
  # shellcheck disable=SC2016
  setsid sh -c 'code=$1; shift; "$@"; echo $? >"$code.new"; mv "$code.new" "$code"' sh \
    "$work/code" "$@" >"$log" 2>&1 </dev/null &
  leader=$!
  while [ ! -f "$work/code" ] && [ $(($(now_ms) - started)) -lt "$limit_ms" ]; do sleep 0.02; done
  took_ms=$(($(now_ms) - started))
  if [ -f "$work/code" ]; then
    code=$(cat "$work/code")
    wait "$leader" 2>/dev/null
  else
    code=124
    kill -s KILL -- "-$leader" 2>/dev/null
  fi
  return 0
}

# judge NAME LOG: words for `code`.
judge() {
  skipped=$(grep -c '^\[  SKIPPED \] .* ms)' "$2")
  passed=$(grep -c '^\[       OK \] ' "$2")
  case $code in
    0)
      if [ "$skipped" -gt 0 ] && [ "$passed" -eq 0 ]; then echo "skipped"
      elif [ "$skipped" -gt 0 ]; then echo "passed, $skipped skipped"
      else echo "passed"
      fi ;;
    77) echo "skipped: $(tail -n 1 "$2" | tr '|' '/' | cut -c 1-80)" ;;
    124) echo "FAILED: killed after its time" ;;
    12[89] | 13? | 14? | 15?) echo "FAILED: signal $((code - 128))" ;;
    *) echo "FAILED: exit code $code" ;;
  esac
}

# note NAME RESULT LOG: a row of the table, and what the program printed.
note() {
  printf '| %s | %s | %d.%d |\n' "$1" "$2" $((took_ms / 1000)) $((took_ms % 1000 / 100)) \
    >>"$work/rows"
  { echo "== $1: $2"; tail -c "$output_bytes_max" "$3"; echo; } >>"$out/outputs.txt"
  sed -n 's/^figure: *//p' "$3" | while read -r figure value unit word floor rest; do
    ratio=
    if [ "$word" = floor ]; then
      ratio=$(awk -v a="$value" -v b="$floor" 'BEGIN { if (b > 0) printf "%.3f", a / b }')
    else
      floor=
    fi
    echo "| $1 | $figure | $value | $unit | $floor | $ratio |"
  done >>"$work/figures"
  case $2 in
    FAILED*)
      failures=$((failures + 1))
      { echo "-- $1: $2"; tail -n 25 "$3"; } >>"$work/failed" ;;
  esac
  echo "$1: $2"
  write_table
}

write_table() {
  {
    echo "## $(date -u '+%Y-%m-%d %H:%M') UTC, commit $(cat "$folder/commit.txt" 2>/dev/null)"
    echo
    echo "$device"
    echo
    echo "| program | result | seconds |"
    echo "|---|---|---|"
    cat "$work/rows"
    if [ -s "$work/figures" ]; then
      echo
      echo "| program | figure | value | unit | floor | value / floor |"
      echo "|---|---|---|---|---|---|"
      cat "$work/figures"
    fi
  } >"$work/table.md"
  mv "$work/table.md" "$out/table.md"
}

# attempt NAME SECONDS PHASE_END COMMAND...: runs, or says that the time is up.
attempt() {
  label=$1
  allowed=$2
  phase_end=$3
  shift 3
  now=$(now_ms)
  if [ "$now" -ge "$phase_end" ]; then
    took_ms=0
    : >"$work/log"
    note "$label" "not run: the time was up" "$work/log"
    return 1
  fi
  left=$(((end - now) / 1000))
  [ "$allowed" -le "$left" ] || allowed=$left
  run_bounded "$work/log" "$allowed" "$@"
}

# programs KIND: their rows, those picked.
programs() {
  awk -F'|' -v kind="$1" -v only="$only" '$2 == kind && $1 ~ only' "$folder/gpu_programs.txt"
}

words_of() { [ "$1" = - ] || echo "$1"; }

device=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null)
device=${device:-no device (nvidia-smi found none)}
echo "$device"
write_table

sanitizer=$(command -v compute-sanitizer ||
  ls -d /usr/local/cuda*/bin/compute-sanitizer 2>/dev/null)
sanitizer=$(echo "$sanitizer" | head -n 1)

if [ "${kinds#* test }" != "$kinds" ]; then
  programs test >"$work/list"
  while IFS='|' read -r name _ path limit _ arguments _; do
    # Word splitting is wanted: arguments are words.
    # shellcheck disable=SC2046
    attempt "$name" "$limit" "$tests_end" "$folder/$path" $(words_of "$arguments") &&
      note "$name" "$(judge "$name" "$work/log")" "$work/log"
  done <"$work/list"
fi

# sanitized ROW_KIND: each of the row's tools; a planted fault has to be found.
sanitized() {
  programs "$1" >"$work/list"
  while IFS='|' read -r name _ path limit tools _ arguments; do
    for tool in $(words_of "$tools"); do
      if [ -z "$sanitizer" ]; then
        took_ms=0
        : >"$work/log"
        note "$name $tool" "skipped: compute-sanitizer was not found" "$work/log"
        continue
      fi
      # shellcheck disable=SC2046
      attempt "$name $tool" "$limit" "$sanitize_end" "$sanitizer" --tool "$tool" \
        --error-exitcode 99 --print-limit 20 "$folder/$path" $(words_of "$arguments") || continue
      found=$(sed -n 's/.*ERROR SUMMARY: \([0-9]* error\).*/\1/p' "$work/log" | tail -n 1)
      result=$(judge "$name" "$work/log")
      if [ "$1" = planted ]; then
        if [ "$code" -eq 99 ]; then result="passed: the planted fault was found"
        else result="FAILED: the planted fault was not found (exit code $code)"
        fi
      elif [ "$code" -eq 99 ]; then result="FAILED: $found(s)"
      fi
      note "$name $tool" "$result" "$work/log"
    done
  done <"$work/list"
}
if [ "${kinds#* sanitize }" != "$kinds" ]; then
  sanitized test
  sanitized planted
fi

if [ "${kinds#* floor }" != "$kinds" ]; then
  for path in "$folder"/floor/*; do
    if [ ! -x "$path" ] || [ ! -f "$path" ]; then continue; fi
    name=$(basename "$path")
    echo "$name" | grep -q -E "$only" || continue
    attempt "$name" 60 "$end" "$path" && note "$name" "$(judge "$name" "$work/log")" "$work/log"
  done
fi

if [ "${kinds#* bench }" != "$kinds" ]; then
  programs bench >"$work/list"
  while IFS='|' read -r name _ path limit _ arguments _; do
    # shellcheck disable=SC2046
    attempt "$name" "$limit" "$end" "$folder/$path" $(words_of "$arguments") &&
      note "$name" "$(judge "$name" "$work/log")" "$work/log"
  done <"$work/list"
fi

echo
cat "$work/failed"
echo
cat "$out/table.md"
echo
echo "gpu_check: $failures failed, $((($(now_ms) - begin) / 1000)) s of $seconds"
[ "$failures" -eq 0 ]
