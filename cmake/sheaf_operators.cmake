# sheaf_add_operators(TARGET HEADER.hpp... [OPTIONS option...]): compiles the custom operators that
# each header lists (see <sheaf/propagate/custom_operator.hpp>) once per instruction set, with the
# flags promise P1 needs, and registers them when the program or shared library that holds TARGET is
# loaded. OPTIONS are added after ours; operators compiled so that multiply-adds contract are
# refused at registration with status `contraction`.
#
# Works in Sheaf's own build and, through find_package(sheaf), in any other. The SIMD values are
# xsimd's, so the building machine needs it (Debian: libxsimd-dev); nobody who links TARGET does.

set(SHEAF_OPERATORS_DIR "${CMAKE_CURRENT_LIST_DIR}")
set(SHEAF_OPERATORS_INSTALLED_INCLUDE "${CMAKE_CURRENT_LIST_DIR}/operators")

if(NOT EXISTS "${SHEAF_OPERATORS_INSTALLED_INCLUDE}" AND SHEAF_INSTALL)
  include(GNUInstallDirs)
  set(to "${CMAKE_INSTALL_LIBDIR}/cmake/sheaf")
  install(FILES "${CMAKE_CURRENT_LIST_DIR}/sheaf_operators.cmake"
                "${CMAKE_CURRENT_LIST_DIR}/operators_isa.cpp.in"
                "${CMAKE_CURRENT_LIST_DIR}/operators_register.cpp.in"
          DESTINATION "${to}")
  install(FILES "${CMAKE_CURRENT_LIST_DIR}/../src/algebra/simd.hpp"
          DESTINATION "${to}/operators/algebra")
  install(FILES "${CMAKE_CURRENT_LIST_DIR}/../src/propagate/bodies/operator_bodies.hpp"
          DESTINATION "${to}/operators/propagate/bodies")
endif()

function(sheaf_add_operators target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "OPTIONS")
  if(EXISTS "${SHEAF_OPERATORS_INSTALLED_INCLUDE}")
    set(include "${SHEAF_OPERATORS_INSTALLED_INCLUDE}")
    find_package(xsimd REQUIRED)
  else()
    set(include "${SHEAF_OPERATORS_DIR}/../src")
  endif()
  get_target_property(xsimd_include xsimd INTERFACE_INCLUDE_DIRECTORIES)
  sheaf_operator_sets(sets)
  target_link_libraries(${target} PUBLIC sheaf::sheaf)
  target_include_directories(${target} SYSTEM PRIVATE ${xsimd_include})
  target_include_directories(${target} PRIVATE "${include}")
  get_target_property(home ${target} SOURCE_DIR)
  get_target_property(type ${target} TYPE)
  foreach(header IN LISTS arg_UNPARSED_ARGUMENTS)
    cmake_path(ABSOLUTE_PATH header NORMALIZE OUTPUT_VARIABLE SHEAF_OPERATORS_HEADER)
    cmake_path(GET header STEM LAST_ONLY stem)
    string(MAKE_C_IDENTIFIER "sheaf_operators_${target}_${stem}" SHEAF_OPERATORS_SYMBOL)
    set(folder "${CMAKE_CURRENT_BINARY_DIR}/operators/${target}")
    set(SHEAF_OPERATORS_DECLARATIONS "")
    set(entries "nullptr" "nullptr" "nullptr")
    foreach(arch IN LISTS sets)
      list(FIND SHEAF_OPERATORS_ARCHES ${arch} id)
      set(file "${folder}/${stem}.${arch}.cpp")
      configure_file("${SHEAF_OPERATORS_DIR}/operators_isa.cpp.in" "${file}" @ONLY)
      sheaf_operators_source("${file}" "${arch}" "${SHEAF_OPERATORS_FLAGS_${arch}}")
      string(APPEND SHEAF_OPERATORS_DECLARATIONS "namespace ${arch} {\n"
             "extern const exported_operators ${SHEAF_OPERATORS_SYMBOL};\n}\n")
      list(REMOVE_AT entries ${id})
      list(INSERT entries ${id} "&${arch}::${SHEAF_OPERATORS_SYMBOL}")
    endforeach()
    list(JOIN entries ", " SHEAF_OPERATORS_SETS)
    set(file "${folder}/${stem}_register.cpp")
    configure_file("${SHEAF_OPERATORS_DIR}/operators_register.cpp.in" "${file}" @ONLY)
    sheaf_operators_source("${file}" scalar "")
    if(type STREQUAL "STATIC_LIBRARY")
      target_link_options(${target} INTERFACE
                          "LINKER:--undefined=${SHEAF_OPERATORS_SYMBOL}_anchor")
    endif()
  endforeach()
endfunction()

set(SHEAF_OPERATORS_ARCHES scalar avx2 avx512)
set(SHEAF_OPERATORS_FLAGS_scalar "")
set(SHEAF_OPERATORS_FLAGS_avx2 -mavx2 -mfma -mbmi2)
set(SHEAF_OPERATORS_FLAGS_avx512 -mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx2 -mfma -mbmi2)

# The instruction sets operators are compiled for: in Sheaf's build those of its kernels, elsewhere
# all that the compiler takes.
function(sheaf_operator_sets result)
  set(sets scalar)
  if(DEFINED SHEAF_WITH_AVX2)
    foreach(arch avx2 avx512)
      string(TOUPPER ${arch} name)
      if(SHEAF_WITH_${name})
        list(APPEND sets ${arch})
      endif()
    endforeach()
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    include(CheckCXXCompilerFlag)
    foreach(arch avx2 avx512)
      string(REPLACE ";" " " CMAKE_REQUIRED_FLAGS "${SHEAF_OPERATORS_FLAGS_${arch}}")
      check_cxx_compiler_flag("" SHEAF_OPERATORS_HAVE_${arch})
      if(SHEAF_OPERATORS_HAVE_${arch})
        list(APPEND sets ${arch})
      endif()
    endforeach()
  endif()
  set(${result} ${sets} PARENT_SCOPE)
endfunction()

# One generated file; called by sheaf_add_operators, whose variables it reads. Optimised in every
# build type: unoptimised inline helpers would stay behind as weak symbols of the larger set.
macro(sheaf_operators_source file arch flags)
  target_sources(${target} PRIVATE "${file}")
  set(options -O3 -ffp-contract=off -fno-trapping-math -fno-math-errno ${flags} ${arg_OPTIONS})
  set_source_files_properties(
    "${file}" DIRECTORY "${home}"
    PROPERTIES COMPILE_OPTIONS "${options}"
               COMPILE_DEFINITIONS "SHEAF_ARCH=${arch}"
               SKIP_LINTING ON)
endmacro()
