#!/usr/bin/env bash
# Static checks: ruff and mypy over Python, clang-tidy over C++, what the compiler made of the CUDA kernels.
set -euo pipefail

export PATH=$PWD/.venv/bin:$PATH
ruff check
mypy

# A compile database without precompiled headers: GCC's do not suit clang, and each source must include what it uses.
mkdir -p build
cmake -S . -B build/lint -G Ninja -DPython_EXECUTABLE="$PWD/.venv/bin/python" -DFLOAT8_PYTHON=ON \
  -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON >build/lint.log 2>&1 || { cat build/lint.log >&2; exit 1; }
python - <<'EOF' | xargs -0 -n 1 -P "$(nproc)" clang-tidy --quiet -p build/lint
import json

with open("build/lint/compile_commands.json") as database:
    files = {entry["file"] for entry in json.load(database)}
print(*sorted(file for file in files if file.endswith(".cpp")), sep="\0", end="")
EOF

if [[ -e build/release/kernels/libfloat8_kernels.a ]]; then  # torch may be a CPU build
  .ci/cuda_checks.py build/release
fi
echo "lint: no findings"
