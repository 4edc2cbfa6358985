# Finds Python, torch and yaml-cpp. The packages of the Python interpreter are where torch and yaml-cpp come from, so
# one virtual environment is all that a build needs; CMAKE_PREFIX_PATH still overrides each.
set(Python_FIND_VIRTUALENV FIRST)
if(FLOAT8_PYTHON)
  find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)
else()
  find_package(Python 3.10 REQUIRED COMPONENTS Interpreter)
endif()

# Where a distribution keeps a file or folder, without importing it (importing torch takes seconds).
function(float8_locate distribution path variable)
  execute_process(
    COMMAND ${Python_EXECUTABLE} -c "import importlib.metadata as m, sys
try: print(m.distribution(sys.argv[1]).locate_file(sys.argv[2]))
except m.PackageNotFoundError: pass" ${distribution} ${path}
    OUTPUT_VARIABLE location OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(${variable} "${location}" PARENT_SCOPE)
endfunction()

float8_locate(torch torch/share/cmake torch_prefix)
float8_locate(cmeel-yaml-cpp cmeel.prefix yaml_prefix)
list(APPEND CMAKE_PREFIX_PATH ${torch_prefix} ${yaml_prefix})

# Must be set before find_package(Torch), which otherwise looks for a GPU and fails the configure step without one.
if(NOT DEFINED TORCH_CUDA_ARCH_LIST)
  set(TORCH_CUDA_ARCH_LIST "8.0;8.9;9.0+PTX" CACHE STRING "CUDA architectures, in torch's notation")
endif()
find_package(Torch REQUIRED)
find_package(yaml-cpp REQUIRED)
