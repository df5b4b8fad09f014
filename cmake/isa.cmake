# Kernels are compiled once per instruction set, from one text.

include(CheckCXXCompilerFlag)

set(SHEAF_AVX2_OPTIONS -mavx2 -mfma -mbmi2)
set(SHEAF_AVX512_OPTIONS -mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx2 -mfma -mbmi2)

set(missing "")
if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(missing "the processor is ${CMAKE_SYSTEM_PROCESSOR}, not x86-64")
endif()
string(REPLACE ";" " " CMAKE_REQUIRED_FLAGS "${SHEAF_AVX2_OPTIONS}")
check_cxx_compiler_flag("" SHEAF_COMPILER_HAS_AVX2)
string(REPLACE ";" " " CMAKE_REQUIRED_FLAGS "${SHEAF_AVX512_OPTIONS}")
check_cxx_compiler_flag("" SHEAF_COMPILER_HAS_AVX512)
unset(CMAKE_REQUIRED_FLAGS)
foreach(set AVX2 AVX512)
  set(why "${missing}")
  if(NOT why AND NOT SHEAF_COMPILER_HAS_${set})
    set(why "the compiler does not take the flags")
  endif()
  string(TOLOWER ${set} label)
  sheaf_decide(${set} ${label} MISSING "${why}")
endforeach()

# Kernels are optimised in every build type: unoptimised ones would leave inline helpers of the
# standard library behind as weak symbols, which the linker may hand to a file compiled for less.
set(SHEAF_KERNEL_OPTIMISATION -O3)
set(SHEAF_KERNEL_WIDE_OPTIONS "")
if(SHEAF_SANITIZE)
  # Checked kernels take minutes each to optimise. One text stands behind every instruction set, so
  # its undefined behaviour is looked for in the scalar one; addresses are checked in all.
  set(SHEAF_KERNEL_OPTIMISATION -O1 -g1)
  set(SHEAF_KERNEL_WIDE_OPTIONS -fno-sanitize=undefined)
  if(SHEAF_SANITIZE STREQUAL "address" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Every check is a call, not a dozen instructions: a third of the time to compile.
    list(APPEND SHEAF_KERNEL_OPTIMISATION --param=asan-instrumentation-with-call-threshold=0)
  endif()
endif()

# sheaf_add_isa_sources(TARGET FILE.cpp...): adds each file to TARGET once per instruction set that
# this build has, with SHEAF_ARCH (scalar, avx2, avx512) and SHEAF_ARCH_ID (0, 1, 2) defined. All
# that such a file defines lies in `inline namespace SHEAF_ARCH` or is always inlined.
function(sheaf_add_isa_sources target)
  get_target_property(home ${target} SOURCE_DIR)
  foreach(file IN LISTS ARGN)
    cmake_path(ABSOLUTE_PATH file NORMALIZE OUTPUT_VARIABLE SHEAF_ISA_SOURCE)
    cmake_path(GET file STEM LAST_ONLY stem)
    sheaf_add_isa_source(scalar 0 "")
    if(SHEAF_WITH_AVX2)
      sheaf_add_isa_source(avx2 1 "${SHEAF_AVX2_OPTIONS};${SHEAF_KERNEL_WIDE_OPTIONS}")
    endif()
    if(SHEAF_WITH_AVX512)
      sheaf_add_isa_source(avx512 2 "${SHEAF_AVX512_OPTIONS};${SHEAF_KERNEL_WIDE_OPTIONS}")
    endif()
  endforeach()
endfunction()

# One file for one instruction set; called by the function above, whose variables it reads.
macro(sheaf_add_isa_source arch id options)
  set(wrapper "${CMAKE_CURRENT_BINARY_DIR}/isa/${stem}.${arch}.cpp")
  file(CONFIGURE OUTPUT "${wrapper}" CONTENT "#include \"@SHEAF_ISA_SOURCE@\"\n" @ONLY)
  target_sources(${target} PRIVATE "${wrapper}")
  set_source_files_properties(
    "${wrapper}" DIRECTORY "${home}"
    PROPERTIES COMPILE_OPTIONS "${SHEAF_KERNEL_OPTIMISATION};${options}"
               COMPILE_DEFINITIONS "SHEAF_ARCH=${arch};SHEAF_ARCH_ID=${id}"
               SKIP_LINTING ON)
endmacro()
