"""The networks that the benchmarks compare, from bench/peers/workloads.py: what is promised of every training
is tested on these."""

from __future__ import annotations

import importlib.util
import sys

from cpp_build import ROOT

_spec = importlib.util.spec_from_file_location("chainrule_bench_workloads", ROOT / "bench/peers/workloads.py")
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = _module  # dataclasses look there
_spec.loader.exec_module(_module)

WORKLOADS = {name: _module.WORKLOADS[name] for name in _module.TRAINING}
samples = _module.samples
