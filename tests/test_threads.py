"""Threads of the library beside those of the program: a child by fork works alone."""

from __future__ import annotations

import subprocess
import sys

FORKING = """
import os, sys
import chainrule as cr
import numpy as np

cr.set_num_threads(2)
a = np.ones((400, 400), np.float32)
expected = float((cr.tensor(a) @ a).sum())  # large enough for a team
child = os.fork()
same = float((cr.tensor(a) @ a).sum()) == expected
if child == 0:
    sys.exit(0 if same else 1)  # the usual end, not _exit: what is left of the threads must not be waited for
_, status = os.waitpid(child, 0)
sys.exit(0 if same and status == 0 else 1)
"""


def test_a_forked_child_works_on_one_thread_and_ends():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKING], timeout=60, check=False)
    assert done.returncode == 0
