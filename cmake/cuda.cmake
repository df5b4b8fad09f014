# The CUDA plugin: whether this build has it, and how what belongs to it is compiled.
#
# SHEAF_CUDA=AUTO means: cmake/cuda_probe.cu, which holds the calls in the form CUDA 13 has them,
# was compiled and linked by an nvcc with the host compiler of this build. An nvcc is looked for in
# CMAKE_CUDA_COMPILER, CUDACXX, CUDAToolkit_ROOT, CUDA_PATH, CUDA_HOME, on PATH and in
# /usr/local/cuda*/bin; the first that passes is taken.

set(SHEAF_CUDA_ARCHITECTURES "80-real;90" CACHE STRING
    "What the plugin is compiled for, as CUDA_ARCHITECTURES: NN-real is code, NN code and PTX")

# Of one source file; the processor time each process of a compilation may take.
set(SHEAF_CUDA_COMPILE_SECONDS_MAX 60)

# Hundreds of kernels of one text are alike: packed for size they take an eighth.
set(SHEAF_CUDA_OPTIONS --fmad=false --expt-relaxed-constexpr --compress-mode=size
                       -Xcompiler=-ffp-contract=off,-Wall,-Wextra)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # The toolkit's own headers hold functions nobody calls.
  list(APPEND SHEAF_CUDA_OPTIONS -Xcompiler=-Wno-unused-function)
endif()

# Every nvcc there is, best first.
function(sheaf_nvcc_candidates result)
  set(folders "")
  foreach(root IN ITEMS "${CUDAToolkit_ROOT}" "$ENV{CUDAToolkit_ROOT}" "$ENV{CUDA_PATH}"
                        "$ENV{CUDA_HOME}")
    if(root)
      list(APPEND folders "${root}/bin")
    endif()
  endforeach()
  string(REPLACE ":" ";" path "$ENV{PATH}")
  file(GLOB versions LIST_DIRECTORIES true "/usr/local/cuda-*")
  list(SORT versions COMPARE NATURAL ORDER DESCENDING)
  list(APPEND folders ${path} /usr/local/cuda/bin)
  foreach(version IN LISTS versions)
    list(APPEND folders "${version}/bin")
  endforeach()
  list(TRANSFORM folders APPEND "/nvcc")
  set(found "")
  foreach(file IN ITEMS "${CMAKE_CUDA_COMPILER}" "$ENV{CUDACXX}" LISTS folders)
    if(file AND IS_ABSOLUTE "${file}" AND EXISTS "${file}")
      file(REAL_PATH "${file}" real)
      list(APPEND found "${real}")
    endif()
  endforeach()
  list(REMOVE_DUPLICATES found)
  set(${result} "${found}" PARENT_SCOPE)
endfunction()

# Compiles the probe with `nvcc`; sets RESULT to an empty text, or to why it did not compile. What
# came of it is kept until the compiler, the probe or the toolkit changes.
function(sheaf_probe_nvcc nvcc result)
  set(probe "${PROJECT_SOURCE_DIR}/cmake/cuda_probe.cu")
  file(SHA256 "${probe}" digest)
  file(TIMESTAMP "${nvcc}" stamp)
  set(key "${nvcc}|${stamp}|${digest}|${CMAKE_CXX_COMPILER}|${CMAKE_CXX_COMPILER_VERSION}")
  if(NOT SHEAF_CUDA_PROBE_KEY STREQUAL key)
    set(log "${CMAKE_BINARY_DIR}/CMakeFiles/sheaf_cuda_probe.log")
    execute_process(
      COMMAND "${nvcc}" -ccbin "${CMAKE_CXX_COMPILER}" -std=c++20 -arch=sm_90 ${SHEAF_CUDA_OPTIONS}
              -cudart static -Xcompiler=-fPIC -shared "${probe}" -o
              "${CMAKE_BINARY_DIR}/CMakeFiles/sheaf_cuda_probe.so"
      RESULT_VARIABLE code OUTPUT_VARIABLE words ERROR_VARIABLE words TIMEOUT 600)
    file(WRITE "${log}" "${nvcc}: ${code}\n${words}")
    set(why "")
    if(NOT code STREQUAL "0")
      string(REGEX MATCH "[^\n]*error[^\n]*" first "${words}")
      string(REGEX REPLACE "[;|]" "," first "${first}")
      set(why "the probe of ${nvcc} failed: ${first} (${log})")
    endif()
    set(SHEAF_CUDA_PROBE_KEY "${key}" CACHE INTERNAL "What the probe's result belongs to")
    set(SHEAF_CUDA_PROBE_WHY "${why}" CACHE INTERNAL "Why the probe failed")
  endif()
  set(${result} "${SHEAF_CUDA_PROBE_WHY}" PARENT_SCOPE)
endfunction()

# Sets NVCC to the first compiler that passes, WHY to the reason where none does.
function(sheaf_find_nvcc nvcc why)
  set(${nvcc} "" PARENT_SCOPE)
  sheaf_nvcc_candidates(candidates)
  set(reason "no nvcc was found (CUDA 13; CUDAToolkit_ROOT says where)")
  foreach(candidate IN LISTS candidates)
    sheaf_probe_nvcc("${candidate}" reason)
    if(NOT reason)
      set(${nvcc} "${candidate}" PARENT_SCOPE)
      break()
    endif()
  endforeach()
  set(${why} "${reason}" PARENT_SCOPE)
endfunction()

set(why "")
set(SHEAF_NVCC "")
if(NOT EXISTS "${PROJECT_SOURCE_DIR}/cuda/CMakeLists.txt")
  set(why "the folder cuda is not in this copy")
elseif(SHEAF_SANITIZE)
  set(why "a sanitizer build has no plugin")
elseif(NOT SHEAF_CUDA STREQUAL "OFF")
  sheaf_find_nvcc(SHEAF_NVCC why)
endif()
list(JOIN SHEAF_CUDA_ARCHITECTURES " " architectures)
sheaf_decide(CUDA cuda MISSING "${why}" NOTE "${SHEAF_NVCC} for ${architectures}")

if(SHEAF_WITH_CUDA)
  set(CMAKE_CUDA_COMPILER "${SHEAF_NVCC}")
  set(CMAKE_CUDA_HOST_COMPILER "${CMAKE_CXX_COMPILER}")
  set(CMAKE_CUDA_ARCHITECTURES "${SHEAF_CUDA_ARCHITECTURES}")
  enable_language(CUDA)
  # CMake 3.25.1 of Debian 12 does not know how nvcc is told of C++20.
  if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  endif()
endif()

# Compiles the `.cu` files of TARGET as the plugin's are, with the runtime linked statically.
# Includes read "cuda/ROOM/x.hpp", "ROOM/x.hpp" of src, and <sheaf/...>.
function(sheaf_cuda_target target)
  target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:sheaf_headers>)
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/src")
  target_include_directories(
    ${target} SYSTEM PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES}>")
  set(strict "")
  if(PROJECT_IS_TOP_LEVEL)
    set(strict -Werror=all-warnings $<$<CXX_COMPILER_ID:GNU>:-Xcompiler=-Werror>)
  endif()
  target_compile_options(
    ${target}
    PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:${SHEAF_CUDA_OPTIONS};${strict}>"
            "$<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<CONFIG:Debug,RelWithDebInfo>>:-lineinfo>"
            "$<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off;-Wall;-Wextra>")
  target_compile_definitions(
    ${target} PRIVATE $<$<BOOL:${SHEAF_DEBUG_ASSERTS}>:SHEAF_DEBUG_ASSERTS=1>
                      $<$<BOOL:${SHEAF_PARANOID_ASSERTS}>:SHEAF_PARANOID_ASSERTS=1>)
  set(launcher "${CMAKE_CUDA_COMPILER_LAUNCHER}")
  if(NOT launcher AND CMAKE_CXX_COMPILER_LAUNCHER MATCHES "ccache")
    set(launcher "${CMAKE_CXX_COMPILER_LAUNCHER}")
  endif()
  if(PROJECT_IS_TOP_LEVEL)
    set(launcher sh "${PROJECT_SOURCE_DIR}/cmake/limit_cpu.sh" ${SHEAF_CUDA_COMPILE_SECONDS_MAX}
                 ${launcher})
  endif()
  set_target_properties(
    ${target}
    PROPERTIES CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON CUDA_EXTENSIONS OFF CXX_STANDARD 20
               CUDA_RUNTIME_LIBRARY Static CUDA_SEPARABLE_COMPILATION OFF
               CUDA_RESOLVE_DEVICE_SYMBOLS OFF CUDA_ARCHITECTURES "${SHEAF_CUDA_ARCHITECTURES}"
               CUDA_COMPILER_LAUNCHER "${launcher}")
endfunction()

# sheaf_gpu_program(TARGET KIND [ARGS words...] [SANITIZE memcheck racecheck] [SANITIZE_ARGS
# words...] [TIMEOUT seconds]): puts a program on the list that cmake/gpu_check.sh works through.
# KIND is test, bench or planted. A test that names tools is run a second time under each, with
# SANITIZE_ARGS; a planted fault is run under them alone, and they have to find it. Tests and
# benchmarks of the functions below, and tests of sheaf_add_test with the label gpu, are on it.
function(sheaf_gpu_program target kind)
  if(NOT TARGET ${target})
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "TIMEOUT" "ARGS;SANITIZE;SANITIZE_ARGS")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  foreach(words ARGS SANITIZE SANITIZE_ARGS)
    list(JOIN arg_${words} " " arg_${words})
    if(arg_${words} STREQUAL "")
      set(arg_${words} "-")
    endif()
  endforeach()
  string(JOIN "|" row ${target} ${kind} "bin/${target}" ${arg_TIMEOUT} "${arg_SANITIZE}"
         "${arg_ARGS}" "${arg_SANITIZE_ARGS}")
  set_property(GLOBAL APPEND PROPERTY SHEAF_GPU_ROWS "${row}")
  set_property(GLOBAL APPEND PROPERTY SHEAF_GPU_TARGETS ${target})
endfunction()

# sheaf_add_cuda_test(NAME SOURCES a.cu... [LABELS gpu] [LIBRARIES ...] [ARGS ...] [TIMEOUT seconds]
# [SANITIZE memcheck racecheck] [SANITIZE_ARGS ...]): a program of its own `main` that runs headers
# of cuda/ on a device. It exits with 0 where all is right, 77 with a printed reason where there is
# no device (a skipped ctest), anything else where something is wrong.
function(sheaf_add_cuda_test name)
  if(NOT SHEAF_WITH_BUILD_TESTS OR NOT SHEAF_WITH_CUDA)
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT"
                        "SOURCES;LABELS;LIBRARIES;ARGS;SANITIZE;SANITIZE_ARGS")
  if(NOT arg_LABELS)
    set(arg_LABELS gpu)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  add_executable(${name} ${arg_SOURCES})
  sheaf_cuda_target(${name})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  target_link_libraries(${name} PRIVATE ${arg_LIBRARIES})
  add_test(NAME ${name} COMMAND ${name} ${arg_ARGS})
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT}
                                          SKIP_RETURN_CODE 77)
  sheaf_label_target(${name} ${arg_LABELS})
  sheaf_gpu_program(${name} test TIMEOUT ${arg_TIMEOUT} ARGS ${arg_ARGS} SANITIZE ${arg_SANITIZE}
                    SANITIZE_ARGS ${arg_SANITIZE_ARGS})
endfunction()

# sheaf_add_cuda_benchmark(NAME SOURCES a.cu... [LIBRARIES ...] [ARGS ...] [TIMEOUT seconds]): the
# same for a benchmark. Each figure is a line `figure: NAME VALUE UNIT [floor VALUE]`; what it
# computed is checked, and a wrong bit is an exit code other than 0.
function(sheaf_add_cuda_benchmark name)
  if(NOT SHEAF_WITH_BUILD_BENCHMARKS OR NOT SHEAF_WITH_CUDA)
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "SOURCES;LIBRARIES;ARGS")
  add_executable(${name} ${arg_SOURCES})
  sheaf_cuda_target(${name})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/bench")
  target_link_libraries(${name} PRIVATE ${arg_LIBRARIES})
  sheaf_gpu_program(${name} bench TIMEOUT ${arg_TIMEOUT} ARGS ${arg_ARGS})
endfunction()

# Writes the list of programs, build/PRESET/gpu/gpu_programs.txt, and adds the target `gpu_bundle`,
# which gathers them beside it. Call it when every program is known.
function(sheaf_finish_gpu_bundle)
  if(NOT SHEAF_WITH_CUDA)
    return()
  endif()
  # A folder of built programs that measure what the machine can do; carried and run as they are.
  set(SHEAF_GPU_FLOORS "" CACHE PATH "Folder of floor programs for gpu_bundle")
  set(folder "${PROJECT_BINARY_DIR}/gpu")
  get_property(rows GLOBAL PROPERTY SHEAF_GPU_ROWS)
  get_property(targets GLOBAL PROPERTY SHEAF_GPU_TARGETS)
  list(JOIN rows "\n" rows)
  file(CONFIGURE OUTPUT "${folder}/gpu_programs.txt" CONTENT "@rows@\n" @ONLY)
  set(files "")
  list(REMOVE_DUPLICATES targets)
  foreach(target IN LISTS targets)
    list(APPEND files "$<TARGET_FILE:${target}>")
  endforeach()
  add_custom_target(
    gpu_bundle
    COMMAND sh "${PROJECT_SOURCE_DIR}/cmake/gpu_bundle.sh" "${PROJECT_SOURCE_DIR}" "${folder}"
            "${SHEAF_GPU_FLOORS}" "$<TARGET_FILE:sheaf_cuda>" ${files}
    DEPENDS sheaf_cuda ${targets}
    VERBATIM)
endfunction()
