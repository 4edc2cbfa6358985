# Compile options of our own code: float8_options is linked PRIVATE by every target of this project.
add_library(float8_options INTERFACE)

set(cxx_flags -Wall -Wextra -Wpedantic)
# nvcc's generated host code is not pedantic, so -Wpedantic stays with the C++ compiler.
set(cuda_flags -Xcompiler=-Wall,-Wextra)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  list(APPEND cxx_flags -Wno-restrict)  # false alarms in std::string's own code (GCC bug 105651)
endif()
# GCC's flow analysis raises false alarms in code that a sanitizer has instrumented, the standard library's included.
if(FLOAT8_WERROR AND NOT FLOAT8_SANITIZE)
  list(APPEND cxx_flags -Werror)
  list(APPEND cuda_flags -Werror=all-warnings)
endif()
if(FLOAT8_SANITIZE)
  list(APPEND cxx_flags -fsanitize=${FLOAT8_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer
    -Wno-maybe-uninitialized)
  target_link_options(float8_options INTERFACE -fsanitize=${FLOAT8_SANITIZE})
endif()
if(FLOAT8_COVERAGE)
  list(APPEND cxx_flags --coverage -fprofile-update=atomic)
  target_link_options(float8_options INTERFACE --coverage)
endif()
target_compile_options(float8_options INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:${cxx_flags}>" "$<$<COMPILE_LANGUAGE:CUDA>:${cuda_flags}>")
