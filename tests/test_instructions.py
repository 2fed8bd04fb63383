"""A counted guard of speed: instructions per training step, by valgrind's callgrind. Unlike a time, the count
does not depend on the load of the machine, and hardly on the machine."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from bench_workloads import WORKLOADS
from cpp_build import ROOT, cpu_levels, library, run

NAMES = ("tiny", "digits")

# Instructions per step with AVX2 (valgrind knows no AVX-512), by the compiler that built the library: its own
# choices are worth more than the 5 % that are allowed.
RECORDED = {
    "GNU 12": {"tiny": 85310, "digits": 616875},
}
STEPS = (20, 120)

pytestmark = [
    pytest.mark.build,
    pytest.mark.skipif("v3" not in cpu_levels(), reason="the figures are those of an x86-64-v3 processor"),
]


def compiler() -> str:
    """Name and major version of what built the library."""
    (found,) = (library() / "CMakeFiles").glob("*/CMakeCXXCompiler.cmake")
    facts = dict(re.findall(r'set\(CMAKE_CXX_COMPILER_(ID|VERSION) "([^"]+)"\)', found.read_text()))
    return f"{facts['ID']} {facts['VERSION'].split('.')[0]}"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, libraries = tmp_path_factory.mktemp("instructions"), library() / "cpp"
    flags = ["-std=c++20", "-O1", "-Wall", "-Wextra", "-Werror", "-I", ROOT / "cpp" / "include"]
    link = ["-L", libraries, "-lchainrule", f"-Wl,-rpath,{libraries}"]
    source = ROOT / "tests" / "instructions.cpp"
    run(os.environ.get("CXX", "c++"), *flags, source, "-o", "train", *link, cwd=folder)
    return folder / "train"


def instructions(program: Path, name: str, steps: int) -> int:
    assert shutil.which("valgrind"), "valgrind is missing: apt-get install valgrind"
    words = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        program,
        steps,
        WORKLOADS[name].batch,
        *WORKLOADS[name].sizes,
    ]
    output = run(*words, CHAINRULE_ISA="v3", CHAINRULE_NUM_THREADS="1")
    assert "level v3," in output, output
    (count,) = re.findall(r"Collected : (\d+)", output)
    return int(count)


@pytest.mark.parametrize("name", NAMES)
def test_instructions_per_step(program: Path, name: str) -> None:
    short, long = (instructions(program, name, steps) for steps in STEPS)
    count = round((long - short) / (STEPS[1] - STEPS[0]))
    print(f"{name}: {count} instructions per step, built by {compiler()}")
    if compiler() not in RECORDED:
        pytest.skip(f"nothing is recorded for {compiler()}: a step of {name} takes {count} instructions")
    recorded = RECORDED[compiler()][name]
    change = 100 * (count / recorded - 1)
    assert abs(change) <= 5, (
        f"a step of {name} takes {count} instructions, {change:+.1f} % of the recorded {recorded}. Fewer are "
        f"progress, more need a reason in the commit's message; then write {count} in RECORDED of {__file__}"
    )
