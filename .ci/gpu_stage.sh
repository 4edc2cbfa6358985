#!/usr/bin/env bash
# Fills .gpu/ with what a GPU machine without a network may lack, for `make gpu` there: gpu_stage.sh
# Wheels for that machine's Python (GPU_PYTHON, 3.12), GoogleTest's sources, the texts of the loss parity (from the folder
# FLOAT8_HELLASWAG), and which commit this is. git ignores .gpu/; take it along with the working tree.
set -euo pipefail

cd "$(dirname "$0")/.."
version=${GPU_PYTHON:-3.12}
limit_mib=48
googletest=${GOOGLETEST:-/usr/src/googletest}  # where Debian's libgtest-dev puts it
python=.venv/bin/python

[[ -e $googletest/CMakeLists.txt ]] || {
  echo "gpu_stage: no GoogleTest in $googletest; install libgtest-dev, or name its sources with GOOGLETEST=..." >&2
  exit 1
}

# The versions that pyproject.toml asks for, and what pytest needs.
requirements=()
for name in torchao cmeel-yaml-cpp pybind11 pytest; do
  requirement=$(sed -nE "s/.*\"($name[=<>~][^\"]*)\".*/\1/p" pyproject.toml | sort -u)
  [[ -n $requirement && $requirement != *$'\n'* ]] || { echo "gpu_stage: no one $name in pyproject.toml" >&2; exit 1; }
  requirements+=("$requirement")
done
requirements+=(iniconfig pluggy packaging pygments)
platforms=()
for glibc in 2_17 2_24 2_27 2_28 2_31 2_34 2_35 2_39; do platforms+=(--platform "manylinux_${glibc}_x86_64"); done
platforms+=(--platform manylinux1_x86_64 --platform manylinux2014_x86_64)

new=.gpu.new
rm -rf $new
mkdir $new
$python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --implementation cp \
  --python-version "$version" "${platforms[@]}" --dest $new/wheels "${requirements[@]}"
mkdir $new/googletest
cp -rL "$googletest"/. $new/googletest
if [[ -n ${FLOAT8_HELLASWAG:-} ]]; then  # the texts of benchmarks/loss_parity.py
  mkdir $new/hellaswag
  cp "$FLOAT8_HELLASWAG"/{train,validation}.jsonl $new/hellaswag
fi
$python benchmarks/source.py $new/source.json
mib=$(du -sm --apparent-size $new | cut -f1)
((mib <= limit_mib)) || { echo "gpu_stage: $mib MiB are more than $limit_mib; nothing changed" >&2; exit 1; }
rm -rf .gpu
mv $new .gpu
echo "gpu_stage: .gpu/ holds $mib MiB for Python $version; take it along, and run make gpu there"
