"""What all tests share: a known seed, thread count and gradient mode at the start of each."""

import re
import subprocess
import sys

import chainrule as cr
import numpy as np
import pytest


def pytest_collection_modifyitems(config, items):
    """`exhaustive` runs only where -m asks for it."""
    if "exhaustive" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("exhaustive")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def fresh_state():
    """Tests neither inherit nor leave behind a seed, a thread count or an off switch."""
    threads = cr.num_threads()
    cr.manual_seed(0)
    assert cr.grad_enabled(), "an earlier test left gradient recording off"
    yield
    cr.set_num_threads(threads)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def digits():
    """The bundled digits: training and test arrays."""
    return *cr.datasets.load_digits(split="train"), *cr.datasets.load_digits(split="test")


@pytest.fixture
def run(tmp_path):
    """Runs the command `chainrule` in tmp_path; returns the finished process."""

    def call(*arguments, code=0):
        done = subprocess.run(
            [sys.executable, "-m", "chainrule", *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        if code == 2:
            assert re.fullmatch(r"chainrule( \w+)?: error: [^\n]+\n", done.stderr), done.stderr
            assert not list(tmp_path.glob("*.tmp"))
        return done

    return call
