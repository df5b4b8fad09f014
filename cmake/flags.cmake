# Our own compile flags, carried by the interface target `sheaf_flags`. It is linked at build time
# only and never exported: a host chooses its own flags.
#
# -ffp-contract=off is not a preference: promise P1 (the same bits on every backend) needs it.
# -fno-trapping-math lets loops with selects vectorise; it changes no value.

add_library(sheaf_flags INTERFACE)
target_compile_features(sheaf_flags INTERFACE cxx_std_20)
target_compile_options(
  sheaf_flags
  INTERFACE -ffp-contract=off
            -fno-trapping-math
            -fno-math-errno
            -Wall
            -Wextra
            -Wconversion
            -Wshadow
            $<$<CXX_COMPILER_ID:Clang,AppleClang>:-Wthread-safety>
            $<$<CXX_COMPILER_ID:Clang,AppleClang>:-Werror=thread-safety>
            $<$<BOOL:${SHEAF_WARNINGS_AS_ERRORS}>:-Werror>)

# GCC 12 with a sanitizer reports objects as maybe uninitialised or out of bounds that are not.
if(SHEAF_SANITIZE)
  target_compile_options(
    sheaf_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>
                          $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
endif()

set(SHEAF_SANITIZE_OPTIONS "")
if(SHEAF_SANITIZE STREQUAL "address")
  set(SHEAF_SANITIZE_OPTIONS -fsanitize=address,undefined -fno-sanitize-recover=all
                             -fno-omit-frame-pointer)
elseif(SHEAF_SANITIZE STREQUAL "thread")
  set(SHEAF_SANITIZE_OPTIONS -fsanitize=thread -fno-omit-frame-pointer)
endif()
