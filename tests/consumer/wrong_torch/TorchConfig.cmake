# Stands in for a torch that libfloat8.so was not built for: the configuration of Float8 must refuse it.
set(Torch_FOUND TRUE)
set(TORCH_INSTALL_PREFIX ${CMAKE_CURRENT_LIST_DIR})
