# make quickstart   train a small language model in FP8 beside BF16
# make test         build and run every test, C++ and Python
# make build        the environment in .venv, with the package installed
# make test-asan-python   Python tests under AddressSanitizer (builds the library once more)
# make coverage     which lines no test reaches, C++ and Python
# make bench        run the benchmarks
# make clients      other trainers with float8 where they import torchao (another environment of gigabytes)
# make fuzz         fuzz the YAML reader and the filters, FUZZ_SECONDS=30 each
# make gpu-stage    fill .gpu/ with what a GPU machine without a network lacks
# make gpu          there: build, run the GPU's tests and benchmarks, in under ten minutes
# make gpu-rehearse the same without a GPU: small, on the CPU
# make gpu-results  take the results in and write tables and pictures: FROM=folder
# make lint         static checks (clang-tidy, ruff, mypy)
# make format       format the sources; format-check only looks
# make clean        remove what was built, and the environment
#
# PYTHON=python3.12 makes the environment from another interpreter, TORCH='2.15.*' with another torch: in a clone of
# its own, or after `make clean`. `make test TORCH='2.15.*'` runs everything against it.

PYTHON ?= python3
export PYTHON TORCH

# What the compiled part is made of. Python files are used where they are; an installation knows only which there are.
native := CMakeLists.txt pyproject.toml .ci/install.sh \
  $(shell find include src kernels python -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*CMakeLists.txt' \
    -o -name '*.cmake' -o -name '*.in')

.DEFAULT_GOAL := help
.NOTPARALLEL:  # ninja and ctest are parallel themselves, and share build/release
.PHONY: help quickstart test test-cpp test-python test-asan test-asan-python test-tsan fuzz coverage build bench clients lint format format-check clean
always:
.PHONY: always gpu gpu-stage gpu-rehearse gpu-results

help:
	@sed -n '/^#/!q; s/^# //p' Makefile

quickstart: build
	.venv/bin/float8 train configs/quickstart.yaml

build: .venv/package.stamp

test: test-cpp test-python test-asan test-tsan

test-cpp: build/system-tests.stamp .venv/package.stamp
	.ci/cpp_tests.sh release

# Two files at a time, whatever the machine: each process holds torch, 2 GB. Threads that wait must not spin then.
test-python: .venv/package.stamp .venv/test.stamp
	OMP_WAIT_POLICY=passive .venv/bin/python -m pytest --numprocesses 2 --dist loadfile

test-asan: build/system-tests.stamp .venv/build.stamp
	.ci/cpp_tests.sh asan

# Not part of `test`: it builds the library once more. Casts, scales, products, and the YAML reader.
asan_python_tests := $(addprefix tests/python/,ops/test_scale.py ops/test_cast.py test_config_yaml.py \
  numerics/test_tensor_core.py)
test-asan-python: .venv/build.stamp .venv/test.stamp
	.ci/asan_python.sh $(asan_python_tests)

# ThreadSanitizer: the races of a grid that runs on the host, and of threads that share a layer.
test-tsan: build/system-tests.stamp .venv/build.stamp
	.ci/cpp_tests.sh tsan

coverage: build/system-tests.stamp .venv/build.stamp .venv/test.stamp .venv/coverage.stamp
	.ci/coverage.sh

FUZZ_SECONDS ?= 30
fuzz: build/system-fuzz.stamp .venv/build.stamp
	.ci/fuzz.sh $(FUZZ_SECONDS)

bench: .venv/package.stamp .venv/test.stamp
	.venv/bin/python -m benchmarks

clients: .venv/package.stamp
	tests/clients_env/run.sh

gpu-stage: build/system-tests.stamp .venv/build.stamp
	.ci/gpu_stage.sh

# With the machine's own torch, not one in .venv: PYTHON names its interpreter. ONLY="layers step" runs these alone.
gpu gpu-rehearse:
	@PYTHONPATH=benchmarks $(PYTHON) -m gpu $(if $(ONLY),--only $(ONLY)) $(if $(filter gpu-rehearse,$@),--rehearse)

gpu-results:
	@$(if $(FROM),,echo "make gpu-results FROM=folder with results.jsonl" >&2; exit 2;) \
	PYTHONPATH=benchmarks .venv/bin/python -m gpu.take_in $(FROM)

lint: .venv/package.stamp .venv/lint.stamp
	.ci/lint.sh

format: .venv/lint.stamp
	.ci/format.sh

format-check: .venv/lint.stamp
	.ci/format.sh --check

clean:
	rm -rf build dist .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The stamps: what is done, and need not be done again until what it was made from changes.
.venv/build.stamp: pyproject.toml .ci/environment.sh .ci/system_packages.sh
	@.ci/system_packages.sh python
	@echo "Making .venv: torch and the other packages (gigabytes, the first time)"
	@.ci/environment.sh build
	@touch $@

.venv/test.stamp .venv/lint.stamp .venv/coverage.stamp: .venv/%.stamp: .venv/build.stamp
	@echo "Adding to .venv what '$*' needs"
	@.ci/environment.sh $*
	@touch $@

build/system-tests.stamp build/system-fuzz.stamp: build/system-%.stamp: .ci/system_packages.sh
	@.ci/system_packages.sh $*
	@mkdir -p build
	@touch $@

build/python-files.txt: always
	@mkdir -p build
	@find python/float8 -name '*.py' | sort | cmp -s - $@ || find python/float8 -name '*.py' | sort > $@

.venv/package.stamp: .venv/build.stamp $(native) build/python-files.txt
	@echo "Building libfloat8 in build/release and installing it into .venv (minutes, the first time)"
	@touch $@.begun  # its time is the stamp's: what is edited during the build counts as changed
	@.ci/install.sh
	@mv $@.begun $@
