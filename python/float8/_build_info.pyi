#: version, torch (major.minor), cuda, cuda_architectures (empty without CUDA), commit (or empty).
BUILD_INFO: dict[str, str]
