"""The wheel: what is in it, what is not, and that it works where it is unpacked.

It is built in the build folder that `make build` uses, so that little is compiled again.
"""

import configparser
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
MAX_WHEEL_BYTES = 5_000_000
#: Libraries that the wheel's own may need: its own, torch's, and the system's.
KNOWN_LIBRARIES = re.compile(
    r"(libfloat8|libyaml-cpp|libtorch|libtorch_cpu|libtorch_cuda|libstdc\+\+|libgcc_s|libm|libc|ld-linux.*)\.so.*"
)


def environment(**variables):
    """The environment of a command: this interpreter's programs first, no float8 but the given."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, **variables}


def run(*command, **variables):
    finished = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = f"""
import scikit_build_core.build as backend
backend.build_wheel({str(folder)!r}, {{"build-dir": "build/release"}})
"""
    run(sys.executable, "-c", build)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def unpacked(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def dynamic_entries(library, tag):
    lines = run("readelf", "-d", library).splitlines()
    return [line.split("[")[1].split("]")[0] for line in lines if f"({tag})" in line]


def test_wheel_is_small(wheel):
    assert wheel.stat().st_size < MAX_WHEEL_BYTES


def test_wheel_has_what_each_kind_of_user_needs(unpacked):
    package = unpacked / "float8"
    assert (package / "py.typed").is_file()
    assert list(package.glob("_C.*.so"))
    assert {path.name for path in (package / "lib").glob("*.so*")} == {
        "libfloat8.so",
        "libyaml-cpp.so.0.8",
    }
    assert (package / "include" / "float8" / "float8.h").is_file()
    assert (package / "lib" / "cmake" / "Float8" / "Float8Config.cmake").is_file()
    entry_points = configparser.ConfigParser()
    entry_points.read(next(unpacked.glob("*.dist-info")) / "entry_points.txt")
    assert entry_points["console_scripts"]["float8"] == "float8.cli:main"


def test_wheel_has_no_torch_cuda_or_tests(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert not [
        name for name in names if re.search(r"torch\w*\.so|cublas|cudart|gtest|test_", name)
    ]


def test_libraries_are_found_relative_to_themselves(unpacked):
    package = unpacked / "float8"
    (extension,) = package.glob("_C.*.so")
    for library, run_path in (
        (package / "lib" / "libfloat8.so", "$ORIGIN"),
        (extension, "$ORIGIN/lib"),
    ):
        assert dynamic_entries(library, "RUNPATH") + dynamic_entries(library, "RPATH") == [run_path]
        unknown = [
            name
            for name in dynamic_entries(library, "NEEDED")
            if not KNOWN_LIBRARIES.fullmatch(name)
        ]
        assert not unknown


def test_cmake_package_has_no_absolute_path(unpacked):
    for path in (unpacked / "float8" / "lib" / "cmake").rglob("*.cmake"):
        text = path.read_text()
        for folder in (str(ROOT), sys.prefix, str(Path.home())):
            assert folder not in text, path


def test_unpacked_wheel_imports_and_computes(unpacked):
    program = """
import torch, float8, pathlib, sys
assert pathlib.Path(float8.__file__).is_relative_to(sys.argv[1]), float8.__file__
print(torch.ops.float8.amax(torch.tensor([[1.0, -3.0]]), [0, 0]).item())
"""
    # -S leaves out the import hooks of site-packages, which prefer the source tree.
    paths = [str(unpacked), *(path for path in sys.path if path.endswith("site-packages"))]
    output = run(sys.executable, "-S", "-c", program, unpacked, PYTHONPATH=os.pathsep.join(paths))
    assert float(output) == 3.0


def test_a_cmake_project_finds_the_unpacked_wheel(unpacked, tmp_path):
    run(
        "cmake",
        "-S",
        ROOT / "tests" / "consumer",
        "-B",
        tmp_path,
        "-G",
        "Ninja",
        f"-DCMAKE_PREFIX_PATH={unpacked / 'float8'}",
        f"-DTorch_DIR={Path(torch.utils.cmake_prefix_path) / 'Torch'}",
    )
    run("cmake", "--build", tmp_path, "--target", "operators")
    assert run(tmp_path / "operators").strip() == "amax 3"
