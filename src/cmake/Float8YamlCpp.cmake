# yaml-cpp is PyPI's cmeel-yaml-cpp: one version on every machine, and no system package to install first. It comes as a
# shared library only, which is installed beside libfloat8.so. A static yaml-cpp named by CMAKE_PREFIX_PATH works too;
# it must be position independent.
find_package(yaml-cpp 0.8 QUIET)
if(NOT yaml-cpp_FOUND)
  message(FATAL_ERROR "yaml-cpp 0.8 was not found for ${Python_EXECUTABLE}; install it there with "
    "\"pip install 'cmeel-yaml-cpp==0.8.*'\", or name its prefix in CMAKE_PREFIX_PATH")
endif()

# Linked as a file: a target would be named in the exported targets, which must not ask users for yaml-cpp.
add_library(float8_yaml_cpp INTERFACE)
target_include_directories(float8_yaml_cpp SYSTEM INTERFACE
  $<TARGET_PROPERTY:yaml-cpp::yaml-cpp,INTERFACE_INCLUDE_DIRECTORIES>)
target_compile_definitions(float8_yaml_cpp INTERFACE
  $<TARGET_PROPERTY:yaml-cpp::yaml-cpp,INTERFACE_COMPILE_DEFINITIONS>)
target_link_libraries(float8_yaml_cpp INTERFACE $<TARGET_FILE:yaml-cpp::yaml-cpp>)
