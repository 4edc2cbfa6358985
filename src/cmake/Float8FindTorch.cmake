# Finds torch. Installed beside Float8Config.cmake, for programs that link float8::float8 need the same.
#
# The configuration file of a CUDA build of torch insists on a CUDA toolkit, which a program without CUDA code of its own
# does not need: libfloat8.so and torch are linked already. So where the project has not enabled the CUDA language, the
# target that stands for the runtime in torch's link interface is defined here, and torch then skips the search for it.
# A program that includes c10/cuda or ATen/cuda enables CUDA first (or finds torch first) and gets torch's own search.
macro(float8_find_torch)
  if(NOT CMAKE_CUDA_COMPILER AND NOT TARGET torch::cudart)
    add_library(torch::cudart INTERFACE IMPORTED)
  endif()
  # Unless it is set, torch looks for a GPU, and the configure step fails on a machine without one.
  if(NOT DEFINED TORCH_CUDA_ARCH_LIST)
    set(TORCH_CUDA_ARCH_LIST "8.0;8.9;9.0+PTX" CACHE STRING "CUDA architectures, in torch's notation")
  endif()
  find_package(Torch ${ARGN})
  # torch's libraries find those that came with them by their own RPATH, but for the linker that is the last place to
  # look: NCCL in a CUDA toolkit's folder, older than torch's, would come first, and lack what torch calls.
  if(Torch_FOUND)
    file(GLOB torch_companions ${TORCH_INSTALL_PREFIX}/../nvidia/*/lib)
    foreach(folder ${torch_companions})
      target_link_options(torch INTERFACE LINKER:-rpath-link,${folder})
    endforeach()
  endif()
endmacro()
