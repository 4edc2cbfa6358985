# Finds torch, and CUDA where torch was built for it and FLOAT8_CUDA asks for it. Sets FLOAT8_WITH_CUDA.
include(Float8FindTorch)
include(Float8CudaToolkit)

set(FLOAT8_WITH_CUDA FALSE)
float8_locate(torch torch/version.py torch_version_file)
if(FLOAT8_CUDA AND torch_version_file)
  file(STRINGS ${torch_version_file} torch_cuda_version REGEX "^cuda.*=")
  string(REGEX MATCH "[0-9]+\\.[0-9]+" torch_cuda_version "${torch_cuda_version}")
  if(torch_cuda_version)
    float8_enable_cuda(${torch_cuda_version} FLOAT8_WITH_CUDA)
    if(NOT FLOAT8_WITH_CUDA)
      message(FATAL_ERROR "torch was built for CUDA ${torch_cuda_version}, whose compiler was not found. Either "
        "install CUDA's toolkit, or take it from PyPI with \"pip install "
        "'cuda-toolkit[cccl,crt,nvcc,nvvm]==${torch_cuda_version}.*'\", or build without CUDA: -DFLOAT8_CUDA=OFF")
    endif()
  endif()
endif()

float8_find_torch(QUIET)
if(NOT Torch_FOUND)
  message(FATAL_ERROR "torch was not found for ${Python_EXECUTABLE}. Install it there with \"pip install "
    "'torch>=2.11,<2.16'\" and build with \"pip install . --no-build-isolation\" (an isolated build does not see the "
    "installed torch), or name LibTorch's folder in CMAKE_PREFIX_PATH")
endif()
string(REGEX MATCH "^[0-9]+\\.[0-9]+" FLOAT8_TORCH_VERSION ${Torch_VERSION})
message(STATUS "float8 ${PROJECT_VERSION} for torch ${Torch_VERSION}, CUDA: ${FLOAT8_WITH_CUDA} ${torch_cuda_version}")

# What the sources that include torch compile and link with. libc10_cuda, libcudart and cuBLAS are left out on purpose:
# libtorch_cuda brings them, and finds them by its own RPATH. Named here, they would have to be found by ours, and the
# package would depend on where CUDA is installed.
add_library(float8_torch INTERFACE)
target_include_directories(float8_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
target_compile_definitions(float8_torch INTERFACE $<TARGET_PROPERTY:torch_cpu,INTERFACE_COMPILE_DEFINITIONS>)
target_link_libraries(float8_torch INTERFACE -Wl,--no-as-needed $<TARGET_FILE:torch_cpu>)
if(FLOAT8_WITH_CUDA)
  target_include_directories(float8_torch SYSTEM INTERFACE ${CUDAToolkit_INCLUDE_DIRS})
  target_link_libraries(float8_torch INTERFACE $<TARGET_FILE:torch_cuda>)
endif()
