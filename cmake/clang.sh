#!/bin/sh
# Compiles src/ with clang, whose thread-safety analysis of the annotated mutexes is an error there,
# and runs clang-tidy over it.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
build=build/clang
mkdir -p "$build"
if ! { cmake -S . -B "$build" -G Ninja -DCMAKE_CXX_COMPILER=clang++ \
         -DCMAKE_BUILD_TYPE=RelWithDebInfo -DSHEAF_BUILD_TESTS=OFF -DSHEAF_BUILD_BENCHMARKS=OFF \
         -DSHEAF_BUILD_EXAMPLES=OFF -DSHEAF_BUILD_CLI=OFF -DSHEAF_CUDA=OFF \
         -DCMAKE_EXPORT_COMPILE_COMMANDS=ON &&
       cmake --build "$build"; } >"$build/build.log" 2>&1 </dev/null; then
  grep -E 'error|warning' "$build/build.log" | head -n 40 || true
  echo "clang: the build failed; all of it is in $build/build.log"
  exit 1
fi
echo "clang: src compiles, no thread-safety error"

# A program that takes no lock before a guarded member must be refused, or the analysis is off.
if clang++ -std=c++20 -fsyntax-only -Iinclude -Wthread-safety -Werror=thread-safety -x c++ - \
  >"$build/planted.log" 2>&1 <<'END'
#include <sheaf/base/mutex.hpp>
struct counter {
  sheaf::mutex guard;
  int count SHEAF_GUARDED_BY(guard) = 0;
  int read() { return count; }
};
END
then
  echo "clang: a planted unguarded read was not refused"
  exit 1
fi
grep -q 'requires holding mutex' "$build/planted.log"
echo "clang: a planted unguarded read is refused"

# Of a file compiled once per instruction set, the scalar one stands for all.
sed -n 's/.*"file": "\(.*\)".*/\1/p' "$build/compile_commands.json" |
  grep -v -E '\.(avx2|avx512)\.cpp$' | sort >"$build/sources"
if ! xargs -P "$(nproc)" -n 2 clang-tidy -p "$build" --quiet \
  <"$build/sources" >"$build/tidy.log" 2>&1; then
  grep -E 'error:|warning:' "$build/tidy.log" | sort -u | head -n 40
  echo "clang-tidy: all of it is in $build/tidy.log"
  exit 1
fi
echo "clang-tidy: $(wc -l <"$build/sources") files, no finding"
