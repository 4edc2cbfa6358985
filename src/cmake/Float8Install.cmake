# What is installed is one folder, whether it is CMake's prefix or the Python package float8/ in a wheel:
# lib/ (libfloat8.so, yaml-cpp beside it), include/float8/, lib/cmake/Float8/.
include(CMakePackageConfigHelpers)
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/Float8)

install(TARGETS float8 EXPORT Float8Targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/float8 DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(EXPORT Float8Targets NAMESPACE float8:: DESTINATION ${package_folder})

get_target_property(yaml_type yaml-cpp::yaml-cpp TYPE)
if(yaml_type STREQUAL SHARED_LIBRARY)
  install(FILES $<TARGET_FILE:yaml-cpp::yaml-cpp> DESTINATION ${CMAKE_INSTALL_LIBDIR}
    RENAME $<TARGET_SONAME_FILE_NAME:yaml-cpp::yaml-cpp>)
  float8_locate(cmeel-yaml-cpp cmeel_yaml_cpp-0.8.0.dist-info/license/LICENSE yaml_license)
  install(FILES ${yaml_license} DESTINATION share/licenses/yaml-cpp OPTIONAL)
endif()

configure_package_config_file(src/cmake/Float8Config.cmake.in ${PROJECT_BINARY_DIR}/Float8Config.cmake
  INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/Float8ConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/Float8Config.cmake ${PROJECT_BINARY_DIR}/Float8ConfigVersion.cmake
  src/cmake/Float8FindTorch.cmake DESTINATION ${package_folder})
