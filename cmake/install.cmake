# Install rules: headers, library, command, CMake package and pkg-config file.

include(CMakePackageConfigHelpers)

install(
  TARGETS sheaf_headers sheaf
  EXPORT sheafTargets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}"
  FILE_SET HEADERS)
if(TARGET sheaf_cli)
  install(TARGETS sheaf_cli RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()

set(sheaf_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/sheaf")
install(EXPORT sheafTargets NAMESPACE sheaf:: DESTINATION "${sheaf_package_dir}")
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/sheafConfig.cmake.in" sheafConfig.cmake
                              INSTALL_DESTINATION "${sheaf_package_dir}")
write_basic_package_version_file(sheafConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/sheafConfig.cmake"
              "${CMAKE_CURRENT_BINARY_DIR}/sheafConfigVersion.cmake"
        DESTINATION "${sheaf_package_dir}")

# In a static library what Sheaf needs is the host's to link; in a shared one it is already linked.
set(SHEAF_PC_REQUIRES "Requires.private: tbb")
set(SHEAF_PC_LIBS "-L\${libdir} -lsheaf")
get_target_property(sheaf_type sheaf TYPE)
if(sheaf_type STREQUAL "STATIC_LIBRARY")
  set(SHEAF_PC_REQUIRES "Requires: tbb")
  set(SHEAF_PC_LIBS "-L\${libdir} -lsheaf -pthread -ldl")
endif()
set(SHEAF_PC_DEFINES "")
if(SHEAF_DEBUG_ASSERTS)
  string(APPEND SHEAF_PC_DEFINES " -DSHEAF_DEBUG_ASSERTS=1")
endif()
if(SHEAF_PARANOID_ASSERTS)
  string(APPEND SHEAF_PC_DEFINES " -DSHEAF_PARANOID_ASSERTS=1")
endif()
cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_LIBDIR BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}"
           OUTPUT_VARIABLE SHEAF_PC_LIBDIR)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_INCLUDEDIR BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}"
           OUTPUT_VARIABLE SHEAF_PC_INCLUDEDIR)
string(REGEX REPLACE "[^/]+" ".." SHEAF_PC_PREFIX "${SHEAF_PC_LIBDIR}/pkgconfig")
configure_file(cmake/sheaf.pc.in sheaf.pc @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/sheaf.pc"
        DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
