#!/usr/bin/env bash
# Makes sure that the system has what PyPI does not: system_packages.sh python|tests|fuzz...
# As root it installs what is missing; otherwise it prints the one line to type, and fails.
set -euo pipefail

python=${PYTHON:-python3}

compiles() { echo "#include <$1>" | "${CXX:-c++}" -x c++ -fsyntax-only - 2>/dev/null; }
fuzzes() { echo 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }' |
  clang++ -x c++ -fsanitize=fuzzer,address -o /dev/null - 2>/dev/null; }

missing=()
for need in "$@"; do
  case $need in
    python)
      if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
        echo "$python must be Python 3.10 or later; name another one with PYTHON=..." >&2
        exit 1
      fi
      header=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h
      if [[ ! -e $header && $header != /usr/include/* ]]; then
        echo "$python lacks its C headers ($header); name another one with PYTHON=..." >&2
        exit 1
      fi
      [[ -e $header ]] || missing+=(python3-dev)
      "$python" -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
      ;;
    fuzz) fuzzes || missing+=(clang) ;;
    tests) compiles gmock/gmock.h && compiles gtest/gtest.h || missing+=(libgtest-dev libgmock-dev) ;;
  esac
done
if ((${#missing[@]} == 0)); then
  exit 0
fi

if ! command -v apt-get >/dev/null; then
  echo "Please install what Debian calls ${missing[*]}, then run make again." >&2
  exit 1
fi
if ((EUID != 0)); then
  echo "Some system packages are missing. Please type this line, then run make again:" >&2
  echo "    sudo apt-get install -y ${missing[*]}" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends "${missing[@]}"
