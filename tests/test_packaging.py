"""Chainrule as others get it: embedded in C++ projects in every supported way, as a wheel, as an sdist."""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from cpp_build import ROOT, build, library, run

CONSUME = ROOT / "tests" / "consume"
LIMIT = 5_000_000  # bytes of a wheel

build_test = pytest.mark.build


# --- embedding
def train_xor(way: str, folder: Path, *options: str) -> None:
    """Builds and runs a consumer, and checks that none of our flags reached it."""
    build(CONSUME / way, folder, "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", *options)
    assert "0 of 4" in run(folder / "xor")
    commands = json.loads((folder / "compile_commands.json").read_text())
    (command,) = (entry["command"] for entry in commands if entry["file"].endswith("xor.cpp"))
    flags = [word for word in shlex.split(command) if re.match("-(?!I|isystem|o|c$)", word)]
    assert flags == ["-std=gnu++20"], command


@build_test
def test_consume_from_a_prefix(tmp_path: Path) -> None:
    run("cmake", "--install", library(), "--prefix", tmp_path / "prefix")
    for name in (
        "include/chainrule/chainrule.hpp",
        "lib/libchainrule.so",
        "share/licenses/chainrule/LICENSE",
    ):
        assert (tmp_path / "prefix" / name).is_file()
    train_xor("find_package", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}")


@build_test
def test_consume_as_a_subdirectory(tmp_path: Path) -> None:
    train_xor("add_subdirectory", tmp_path, f"-DCHAINRULE_SOURCE_DIR={ROOT}", "-DCHAINRULE_ISAS=native")


@build_test
def test_consume_a_static_library(tmp_path: Path) -> None:
    options = ("-DBUILD_SHARED_LIBS=OFF", "-DCHAINRULE_TESTS=OFF", "-DCHAINRULE_ISAS=native")
    build(ROOT, tmp_path / "static", *options)
    run("cmake", "--install", tmp_path / "static", "--prefix", tmp_path / "prefix")
    train_xor("find_package", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}")


@build_test
def test_consume_from_the_installed_wheel(tmp_path: Path) -> None:
    installed_package()
    folder = run("chainrule", "--cmake-dir").strip()
    train_xor("find_package", tmp_path, f"-Dchainrule_DIR={folder}")


# --- wheel and sdist
def installed_package() -> metadata.Distribution:
    """The distribution that `import chainrule` uses; skips where it is a build folder on PYTHONPATH."""
    chainrule = pytest.importorskip("chainrule")
    try:
        found = metadata.distribution("chainrule")
    except metadata.PackageNotFoundError:
        pytest.skip("chainrule is not installed with pip")
    if not Path(str(found.locate_file("chainrule"))).samefile(Path(chainrule._core.__file__).parent):
        pytest.skip("the chainrule that is imported is not the one that pip installed")
    return found


def check_contents(names: set[str]) -> None:
    """A wheel holds what it must, and nothing that is not ours to put there."""
    must = [
        "chainrule/__init__.py", "chainrule/py.typed", "chainrule/_core.pyi", "chainrule/lib/libchainrule.so",
        "chainrule/include/chainrule/chainrule.hpp", "chainrule/lib/cmake/chainrule/chainruleConfig.cmake",
        "licenses/LICENSE", "licenses/eigen-MPL2.txt", "licenses/nlohmann_json-MIT.txt",
        "licenses/pybind11-BSD.txt",
    ]  # fmt: skip
    for name in must:
        assert any(found.endswith(name) for found in names), name
    allowed = r"chainrule/.*\.(py|pyi|typed|so|hpp|cmake|npz|csv|gz|md)$|chainrule-[^/]+\.dist-info/"
    assert not [name for name in names if not re.match(allowed, name)]
    assert len([name for name in names if name.endswith(".so")]) == 2, "one module and one library"


@build_test
def test_the_installed_wheel() -> None:
    package = installed_package()
    if '"editable": true' in (package.read_text("direct_url.json") or ""):
        pytest.skip("an editable install holds only the compiled part")
    files = [file for file in package.files or [] if not {"..", "__pycache__"} & set(file.parts)]
    check_contents({file.as_posix() for file in files})
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(str(file.locate()), file.as_posix())
    assert packed.tell() <= LIMIT, f"the wheel has {packed.tell()} bytes"
    assert {line for line in package.requires or [] if "extra ==" not in line} == {"numpy", "tqdm"}


@build_test
def test_an_sdist_builds_a_wheel_by_itself(tmp_path: Path) -> None:
    ignore = shutil.ignore_patterns("build", "prefix", "prefix.*", ".git", "dist", "__pycache__", "*.so")
    shutil.copytree(ROOT, tmp_path / "clone", ignore=ignore)
    run(sys.executable, "-m", "build", "--sdist", "--outdir", tmp_path, tmp_path / "clone")
    (sdist,) = tmp_path.glob("chainrule-*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    carried = {f"third_party/prefix/{name}" for name in ("eigen/COPYING.MPL2", "nlohmann_json/LICENSE.MIT")}
    assert {"PKG-INFO", "LICENSE", *carried} <= names
    log = run(
        sys.executable, "-m", "pip", "wheel", "-v", "--no-deps", "-w", tmp_path, sdist,
        "-C", "cmake.define.CHAINRULE_ISAS=native",
    )  # fmt: skip
    assert "pgm-build-deps" not in log
    assert "/third_party/prefix/eigen/" in log
    (wheel,) = tmp_path.glob("chainrule-*.whl")
    check_contents(set(zipfile.ZipFile(wheel).namelist()))
    assert wheel.stat().st_size <= LIMIT


def test_versions_agree() -> None:
    header = (ROOT / "cpp" / "include" / "chainrule" / "version.hpp").read_text()
    version = ".".join(re.findall(r"CHAINRULE_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header))
    assert pytest.importorskip("chainrule").__version__ == version
