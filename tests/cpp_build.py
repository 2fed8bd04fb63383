"""One CMake build of this checkout, kept between runs; for the tests that run or inspect compiled code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("CHAINRULE_TEST_BUILD", ROOT / "build" / "tests"))
PATH = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])


def run(*command: object, cwd: Path = ROOT, **environment: str) -> str:
    """Runs a command with this environment's programs first; its output, or an error that shows it."""
    words = [str(word) for word in command]
    words[0] = shutil.which(words[0], path=PATH) or words[0]
    done = subprocess.run(
        words,
        cwd=cwd,
        env={**os.environ, "PATH": PATH, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, f"{' '.join(words)}: exit code {done.returncode}\n{done.stdout[-6000:]}"
    return done.stdout


def build(source: Path, folder: Path, *options: str) -> Path:
    """Configures and builds a CMake project; the build folder."""
    run("cmake", "-S", source, "-B", folder, "-G", "Ninja", *options)
    run("cmake", "--build", folder)
    return folder


@cache
def library() -> Path:
    """The build folder of the library, at all instruction set levels, with its C++ tests."""
    return build(ROOT, BUILD, "-DCHAINRULE_TESTS=ON")


def cpu_levels() -> list[str]:
    """Which of v2, v3, v4 this processor can run."""
    lines = re.findall(r"^flags\s*:(.*)", Path("/proc/cpuinfo").read_text(), re.M)
    flags = set(lines[0].split()) if lines else set()
    needs = {
        "v2": {"sse4_2", "ssse3", "popcnt"},
        "v3": {"avx2", "fma", "bmi2", "f16c"},
        "v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
    }
    return [level for level, features in needs.items() if features <= flags]
