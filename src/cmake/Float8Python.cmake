# Finds Python. torch and yaml-cpp are taken from the packages of this interpreter, so one virtual environment is all
# that a build needs; what CMAKE_PREFIX_PATH names comes first all the same.
set(Python_FIND_VIRTUALENV FIRST)
set(python_components Interpreter)
if(FLOAT8_PYTHON)
  list(APPEND python_components Development.Module)
endif()
find_package(Python 3.10 REQUIRED COMPONENTS ${python_components})

# Sets VARIABLE to where DISTRIBUTION keeps PATH, or to nothing where it is not installed. Nothing is imported:
# importing torch takes seconds.
function(float8_locate distribution path variable)
  execute_process(
    COMMAND ${Python_EXECUTABLE} -c "import importlib.metadata as m, sys
try: print(m.distribution(sys.argv[1]).locate_file(sys.argv[2]).resolve())
except m.PackageNotFoundError: pass" ${distribution} ${path}
    OUTPUT_VARIABLE location OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(${variable} "${location}" PARENT_SCOPE)
endfunction()

foreach(pair torch=torch/share/cmake cmeel-yaml-cpp=cmeel.prefix pybind11=pybind11/share/cmake)
  string(REPLACE "=" ";" pair ${pair})
  float8_locate(${pair} prefix)
  list(APPEND CMAKE_PREFIX_PATH ${prefix})
endforeach()
