"""Builds and runs the C++ tests (tests/cpp), once for each instruction set level of this processor."""

from __future__ import annotations

import pytest
from cpp_build import cpu_levels, library, run

pytestmark = pytest.mark.build


@pytest.mark.parametrize("level", cpu_levels() or ["default"])
def test_cpp(level: str) -> None:
    program = library() / "tests" / "cpp" / "chainrule_tests"
    output = run(program, CHAINRULE_ISA=level) if level != "default" else run(program)
    assert "Status: SUCCESS!" in output
    assert "test cases: 0" not in output, "the C++ tests are empty"
