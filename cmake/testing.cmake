# How tests and benchmarks are declared.

# Every label has a target, sheaf_tests_LABEL, that builds its tests.
function(sheaf_label_target target)
  foreach(label IN LISTS ARGN)
    if(NOT TARGET sheaf_tests_${label})
      add_custom_target(sheaf_tests_${label})
    endif()
    add_dependencies(sheaf_tests_${label} ${target})
  endforeach()
endfunction()

# sheaf_add_test(NAME SOURCES a.cpp... [LABELS fast unit] [LIBRARIES ...] [TIMEOUT seconds]): a
# GoogleTest executable; each of its tests becomes one ctest. Default labels: fast unit. A test with
# the label gpu is run on a GPU machine, too (cmake/gpu_check.sh), and is told where the plugin is.
function(sheaf_add_test name)
  if(NOT SHEAF_WITH_BUILD_TESTS)
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "SOURCES;LABELS;LIBRARIES")
  if(NOT arg_LABELS)
    set(arg_LABELS fast unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  set(environment "${SHEAF_TEST_ENVIRONMENT}")
  add_executable(${name} ${arg_SOURCES})
  if("gpu" IN_LIST arg_LABELS AND SHEAF_WITH_CUDA)
    sheaf_gpu_program(${name} test TIMEOUT ${arg_TIMEOUT})
    list(APPEND environment "SHEAF_CUDA_PLUGIN=${PROJECT_BINARY_DIR}/cuda/libsheaf_cuda.so")
    add_dependencies(${name} sheaf_cuda)
  endif()
  target_link_libraries(${name} PRIVATE sheaf::sheaf sheaf_flags ${arg_LIBRARIES} GTest::gmock
                                        GTest::gtest_main)
  if(TARGET rapidcheck)
    target_link_libraries(${name} PRIVATE rapidcheck)
  endif()
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/src"
                                             "${PROJECT_SOURCE_DIR}/tests")
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 120)
  # Properties with a list in them do not survive gtest_discover_tests; this file, read after the
  # list of tests, sets them.
  set(properties "${CMAKE_CURRENT_BINARY_DIR}/${name}_properties.cmake")
  file(CONFIGURE OUTPUT "${properties}" CONTENT [[
if(@name@_TESTS)
  set_tests_properties(${@name@_TESTS} PROPERTIES LABELS "@arg_LABELS@" TIMEOUT @arg_TIMEOUT@
                       ENVIRONMENT "@environment@")
endif()
]] @ONLY)
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${properties}")
  sheaf_label_target(${name} ${arg_LABELS})
endfunction()

# sheaf_add_benchmark(NAME SOURCES a.cpp... [LIBRARIES ...]): a Google Benchmark executable.
function(sheaf_add_benchmark name)
  if(NOT SHEAF_WITH_BUILD_BENCHMARKS)
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBRARIES")
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE sheaf::sheaf sheaf_flags ${arg_LIBRARIES}
                                        benchmark::benchmark_main)
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/src"
                                             "${PROJECT_SOURCE_DIR}/bench")
endfunction()

# sheaf_add_compile_fail(NAME a.cpp [EXPECT "regex"] [OPTIONS ...]): a ctest that compiles the file
# without linking and passes only where the compiler refuses it with a message that matches. Without
# EXPECT it is a positive control: the file must compile.
function(sheaf_add_compile_fail name source)
  if(NOT SHEAF_WITH_BUILD_TESTS)
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "EXPECT" "OPTIONS")
  cmake_path(ABSOLUTE_PATH source NORMALIZE OUTPUT_VARIABLE file)
  add_test(NAME compile_fail.${name}
           COMMAND "${CMAKE_COMMAND}" "-DCOMPILER=${CMAKE_CXX_COMPILER}" "-DSOURCE=${file}"
                   "-DINCLUDE=${PROJECT_SOURCE_DIR}/include" "-DEXPECT=${arg_EXPECT}"
                   "-DOPTIONS=${arg_OPTIONS}" -P
                   "${PROJECT_SOURCE_DIR}/cmake/compile_fail.cmake")
  set_tests_properties(compile_fail.${name} PROPERTIES LABELS "fast;compile_fail" TIMEOUT 120)
endfunction()
