"""The type stubs of the C++ module are those of the module that was built."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "python" / "stubs.py"


def test_stubs_are_up_to_date():
    pytest.importorskip("pybind11_stubgen")
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run python python/stubs.py\n{done.stdout}{done.stderr}"
