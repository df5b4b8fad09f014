# The target `docs`: API pages of the public headers, in build/docs/html. A warning is an error.
set(SHEAF_DOCS_OUTPUT "${PROJECT_BINARY_DIR}/html")
configure_file("${PROJECT_SOURCE_DIR}/cmake/Doxyfile.in" Doxyfile @ONLY)
add_custom_target(
  docs
  COMMAND Doxygen::doxygen "${PROJECT_BINARY_DIR}/Doxyfile"
  WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
  COMMENT "API pages in ${SHEAF_DOCS_OUTPUT}"
  VERBATIM)
