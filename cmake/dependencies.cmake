# Everything that is not ours, and which parts of the build depend on it.

find_package(Threads REQUIRED)
find_package(TBB REQUIRED)
# Used while compiling only: a host that takes an installed Sheaf needs no xsimd.
find_package(xsimd REQUIRED)
# Its headers alone: Debian's package asks for libxtl at link time, which no header we include
# needs.
add_library(sheaf_xsimd INTERFACE)
get_target_property(xsimd_include xsimd INTERFACE_INCLUDE_DIRECTORIES)
target_include_directories(sheaf_xsimd SYSTEM INTERFACE ${xsimd_include})

set(why "")
if(NOT SHEAF_BUILD_TESTS STREQUAL "OFF")
  find_package(GTest QUIET)
  find_package(rapidcheck QUIET)
  if(NOT TARGET GTest::gmock)
    set(why "GoogleTest was not found (libgtest-dev libgmock-dev)")
  elseif(NOT TARGET rapidcheck)
    set(why "RapidCheck was not found (librapidcheck-dev)")
  endif()
endif()
sheaf_decide(BUILD_TESTS tests MISSING "${why}")
if(SHEAF_WITH_BUILD_TESTS)
  include(GoogleTest)
endif()

# What every test runs under. The suppressions name what oneTBB, which is not instrumented, hides
# from ThreadSanitizer.
set(SHEAF_TEST_ENVIRONMENT
    "TSAN_OPTIONS=halt_on_error=1 suppressions=${PROJECT_SOURCE_DIR}/cmake/tsan.supp"
    "UBSAN_OPTIONS=print_stacktrace=1" "ASAN_OPTIONS=detect_stack_use_after_return=1")

set(why "")
if(NOT SHEAF_BUILD_BENCHMARKS STREQUAL "OFF")
  find_package(benchmark QUIET)
  if(NOT TARGET benchmark::benchmark)
    set(why "Google Benchmark was not found (libbenchmark-dev)")
  endif()
endif()
sheaf_decide(BUILD_BENCHMARKS benchmarks MISSING "${why}")

set(why "")
if(NOT SHEAF_BUILD_EXAMPLES STREQUAL "OFF")
  find_package(BZip2 QUIET)
  if(NOT TARGET BZip2::BZip2)
    set(why "bzip2 was not found (libbz2-dev)")
  endif()
endif()
sheaf_decide(BUILD_EXAMPLES examples MISSING "${why}")

set(why "")
if(NOT SHEAF_BUILD_CLI STREQUAL "OFF")
  find_package(CLI11 QUIET)
  if(NOT TARGET CLI11::CLI11)
    set(why "CLI11 was not found (libcli11-dev)")
  endif()
endif()
sheaf_decide(BUILD_CLI cli MISSING "${why}")

set(why "")
if(NOT SHEAF_BUILD_DOCS STREQUAL "OFF")
  find_package(Doxygen QUIET)
  if(NOT DOXYGEN_FOUND)
    set(why "Doxygen was not found (doxygen)")
  endif()
endif()
sheaf_decide(BUILD_DOCS docs MISSING "${why}")

include(cuda)

if(SHEAF_SANITIZE)
  sheaf_note(sanitizer ${SHEAF_SANITIZE} "")
else()
  sheaf_note(sanitizer none "set SHEAF_SANITIZE to address or thread")
endif()
