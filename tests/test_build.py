"""What the compiled library must guarantee: levels kept apart, floors, the choice of Eigen."""

from __future__ import annotations

import itertools
import os
import re
import shutil
from functools import cache
from pathlib import Path

import pytest
from cpp_build import ROOT, library, run

FLOORS = {
    "core": 0, "formulas": 1, "kernels": 2, "dispatch": 2.5, "graph": 3, "ops": 4, "autodiff": 5,
    "program": 6, "transforms": 7, "nn": 8, "losses": 8, "optim": 8, "io": 9, "train": 10,
}  # fmt: skip
SOURCES = ROOT / "cpp" / "src"

build_test = pytest.mark.build


# --- floors
def floor_of(path: Path) -> str:
    return path.relative_to(SOURCES).parts[0]


def may_know(floor: str, other: str) -> bool:
    return floor == other or FLOORS[other] < FLOORS[floor]


def test_every_source_folder_is_a_floor() -> None:
    assert {entry.name for entry in SOURCES.iterdir()} <= set(FLOORS)


def test_includes_point_downwards() -> None:
    upward = []
    for path in sorted([*SOURCES.rglob("*.hpp"), *SOURCES.rglob("*.cpp")]):
        for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), re.M):
            folder = name.split("/")[0]
            if folder != "chainrule":
                assert folder in FLOORS, f'{path}: "{name}" is no "floor/file.hpp"'
                if not may_know(floor_of(path), folder):
                    upward.append(f"{path.relative_to(SOURCES)} includes {name}")
    assert not upward


@cache
def symbols(path: Path) -> dict[str, str]:
    """Mangled name -> nm's letter, of one object file."""
    lines = (line.split() for line in run("nm", "--format=posix", path).splitlines())
    return {words[0]: words[1] for words in lines if len(words) > 1}


def objects(target: str) -> list[Path]:
    folder = library() / "cpp" / "CMakeFiles" / f"{target}.dir" / "src"
    sources = {path.relative_to(SOURCES).as_posix() + ".o" for path in SOURCES.rglob("*.cpp")}
    return [path for path in sorted(folder.rglob("*.o")) if path.relative_to(folder).as_posix() in sources]


@build_test
def test_undefined_symbols_point_downwards() -> None:
    targets = ["chainrule_objects", *level_targets()]
    owners = [(path, path.parent.name) for target in targets for path in objects(target)]
    defined: dict[str, str] = {}
    for path, floor in owners:
        defined.update((name, floor) for name, letter in symbols(path).items() if letter in "TDBR")
    upward = [
        f"{path.name} ({floor}) uses {run('c++filt', name).strip()} of {defined[name]}"
        for path, floor in owners
        for name, letter in symbols(path).items()
        if letter == "U" and name in defined and not may_know(floor, defined[name])
    ]
    assert not upward


# --- instruction set levels
def level_targets() -> list[str]:
    cache_file = (library() / "CMakeCache.txt").read_text()
    levels = re.search(r"^CHAINRULE_ISAS:\w+=(.*)$", cache_file, re.M)
    assert levels
    targets = [f"chainrule_kernels_{level}" for level in re.split("[;,]", levels[1])]
    amx = "chainrule_kernels_amx"  # beside v4, where the compiler knows AMX
    return [*targets, amx] if (library() / "cpp" / "CMakeFiles" / f"{amx}.dir").exists() else targets


@pytest.fixture(scope="module")
def levels() -> dict[str, list[Path]]:
    found = {target.rpartition("_")[2]: objects(target) for target in level_targets()}
    if set(found) - {"amx"} != {"v2", "v3", "v4"}:
        pytest.skip("not an x86-64 build with all levels")
    assert all(found.values()), "no kernel objects were built"
    return found


@build_test
def test_levels_share_no_symbol(levels: dict[str, list[Path]]) -> None:
    merged = {
        level: {name for path in paths for name, letter in symbols(path).items() if letter in "VWuTDBR"}
        for level, paths in levels.items()
    }
    for a, b in itertools.combinations(merged, 2):
        assert merged[a] & merged[b] <= {"DW.ref.__gxx_personality_v0"}, (a, b)


@build_test
def test_a_kernel_object_exports_one_symbol(levels: dict[str, list[Path]]) -> None:
    for path in itertools.chain(*levels.values()):
        exported = [name for name, letter in symbols(path).items() if letter in "TDBR"]
        assert len(exported) == 1, (path, exported)


@build_test
def test_kernels_run_nothing_at_load(levels: dict[str, list[Path]]) -> None:
    for path in itertools.chain(*levels.values()):
        assert not re.search(r"\.(init_array|ctors)\b", run("objdump", "-h", path)), path


@build_test
@pytest.mark.parametrize(
    ("level", "forbidden"),
    [
        ("v2", r"%[yz]mm|\tv\w+ "),  # nor any VEX-coded instruction
        ("v3", r"%zmm|%[xy]mm(1[6-9]|2\d|3[01])|%k[0-7]"),  # nor what AVX-512 adds to the shorter registers
        ("v4", r"%tmm"),
    ],
    ids=["v2", "v3", "v4"],
)
def test_instructions_of_a_level(levels: dict[str, list[Path]], level: str, forbidden: str) -> None:
    for path in levels[level]:
        code = run("objdump", "-d", "--no-show-raw-insn", path)
        found = [line for line in code.splitlines() if re.search(forbidden, line)]
        assert not found, (path, found[:5])


@build_test
def test_the_library_exports_only_its_own_names() -> None:
    names = run("nm", "-D", "-C", "--defined-only", library() / "cpp" / "libchainrule.so")
    assert " T chainrule::" in names
    assert not re.findall(r"^.*\b(?:Eigen\w*|nlohmann)::.*$", names, re.M)


# --- third-party headers
def test_a_pin_is_written_once_in_effect() -> None:
    (pin,) = re.findall(
        r"^(pgm-build-deps==\S+)", (ROOT / "third_party" / "requirements.txt").read_text(), re.M
    )
    assert f'build.requires = ["{pin}"]' in (ROOT / "pyproject.toml").read_text()


@build_test
def test_a_failed_download_says_how_to_get_eigen(tmp_path: Path) -> None:
    ignore = shutil.ignore_patterns("build", "prefix", "prefix.*", ".git", "dist")
    shutil.copytree(ROOT, tmp_path / "clone", ignore=ignore)
    offline = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "CHAINRULE_DEPS_DIR": ""}
    with pytest.raises(AssertionError, match=r"To get it, one of:(?s:.*)CHAINRULE_DEPS_DIR"):
        run("cmake", "-S", tmp_path / "clone", "-B", tmp_path / "build", "-G", "Ninja", **offline)


@build_test
def test_an_old_eigen_is_refused(tmp_path: Path) -> None:
    core = tmp_path / "include" / "eigen3" / "Eigen" / "Core"
    core.parent.mkdir(parents=True)
    core.touch()
    with pytest.raises(AssertionError, match=r"Eigen 5.0 or newer is needed"):
        run("cmake", "-S", ROOT, "-B", tmp_path / "build", "-G", "Ninja", f"-DCHAINRULE_DEPS_DIR={tmp_path}")
