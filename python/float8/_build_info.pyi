#: version, torch (major.minor), cuda, cuda_architectures (empty without CUDA), commit (may be empty).
BUILD_INFO: dict[str, str]
