# Compile options of our own code: float8_options is linked PRIVATE by every target of this project.
add_library(float8_options INTERFACE)
set(cxx_warnings -Wall -Wextra -Wpedantic $<$<BOOL:${FLOAT8_WERROR}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  list(APPEND cxx_warnings -Wno-restrict)  # false alarms in std::string's own code (GCC bug 105651)
endif()
# nvcc's generated host code is not pedantic, so -Wpedantic stays with the C++ compiler.
set(cuda_warnings -Xcompiler=-Wall,-Wextra $<$<BOOL:${FLOAT8_WERROR}>:-Werror=all-warnings>)
target_compile_options(float8_options INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:${cxx_warnings}>" "$<$<COMPILE_LANGUAGE:CUDA>:${cuda_warnings}>")

if(FLOAT8_SANITIZE)
  set(sanitize_flags -fsanitize=${FLOAT8_SANITIZE} -fno-omit-frame-pointer)
  target_compile_options(float8_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:${sanitize_flags}> $<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize-recover=all>)
  target_link_options(float8_options INTERFACE -fsanitize=${FLOAT8_SANITIZE})
endif()
