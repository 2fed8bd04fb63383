"""The benchmarks run and judge as they say. No time is looked at."""

from __future__ import annotations

import gzip
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cpp_build import ROOT, library, run

PEERS = ROOT / "bench" / "peers"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The modules of bench/peers, which import one another by their bare names; forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(PEERS))
    import goals
    import growth
    import judge
    import limits
    import page
    import plan
    import processes
    import workloads

    modules = (goals, growth, judge, limits, page, plan, processes, workloads)
    yield type("Bench", (), {module.__name__: module for module in modules})
    for name in set(sys.modules) - before:
        if str(PEERS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def row(*us: float, **other: Any) -> dict[str, Any]:
    return {"samples": {"us": list(us)}, **other}


def test_a_run_of_one_workload(tmp_path: Path) -> None:
    numbers = tmp_path / "numbers.json"
    start = [sys.executable, PEERS / "run.py", "tiny"]
    options = ["--peers", "chainrule:fit", "--threads", "1", "--repeats", "1", "--seconds", "0.01"]
    options += ["--limits", "none", "--json", numbers]
    done = subprocess.run([*start, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads(numbers.read_text())
    assert set(results) == {"environment", "limits", "workloads", "goals"}
    fit = results["workloads"]["tiny"]["1"]["chainrule:fit"]
    assert fit["samples"]["us"][0] > 0
    assert 0 < fit["loss"] < 1
    assert fit["error"] == 0
    assert "void" not in fit
    assert results["environment"]["libraries"]["chainrule"]
    assert all(goal["met"] is None for goal in results["goals"])
    for words in ("| tiny |", "limits are not measured", "not measured", "picture"):
        assert words in done.stdout
    more = subprocess.run(
        [*start, "wheel", *options, "--resume"], capture_output=True, text=True, check=False
    )
    assert more.returncode == 0, more.stderr
    assert "tiny, 1 thread" not in more.stderr
    kept = json.loads(numbers.read_text())
    assert kept["workloads"] == results["workloads"]
    assert "wheel" in kept
    again = [sys.executable, PEERS / "run.py", "--from", numbers]
    shown = subprocess.run(again, capture_output=True, text=True, check=False).stdout
    assert shown == more.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["nothing"], "invalid choice: 'nothing'"),
        (["tiny", "--threads", "0"], "--threads: 1 to"),
        (["tiny", "--python", "torch"], "--python: give PEER=PATH"),
        (["tiny", "--repeats", "0"], "--repeats and --seconds must be positive"),
    ],
)
def test_bad_options_are_refused(options: list[str], words: str) -> None:
    done = subprocess.run(
        [sys.executable, PEERS / "run.py", *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert words in done.stderr


def test_rows_that_computed_something_else_are_void(bench: Any) -> None:
    rows = {
        "chainrule:fit": row(1, loss=0.5),
        "torch": row(2, loss=0.500001),
        "jax:scan": row(0.1, loss=0.5002),
        "sklearn": row(0.1, loss=math.nan),
        "onnx": {"samples": {}, "missing": "ImportError: no"},
    }
    elsewhere = {"torch": row(3), "jax:scan": row(4)}  # not checked on that number of threads
    bench.judge.judge({"1": elsewhere, "2": rows})
    assert [peer for peer in elsewhere if "void" in elsewhere[peer]] == ["jax:scan"]
    assert [peer for peer in rows if "void" in rows[peer]] == ["jax:scan", "sklearn"]
    assert rows["jax:scan"]["void"] == "differs by 4.0e-04"
    assert bench.judge.best({"1": rows}, ours=False) == (2, "torch", 1)  # not the faster ones that are void


def test_both_sides_count_at_their_better_number_of_threads(bench: Any) -> None:
    by_threads = {
        "1": {"chainrule:fit": row(4, 5, 9), "chainrule:step": row(8), "torch": row(30), "onnx": row(50)},
        "2": {"chainrule:fit": row(7), "chainrule:step": row(6), "torch": row(90), "onnx": row(20, 15, 25)},
    }
    assert bench.judge.best(by_threads, ours=True) == (5, "chainrule:fit", 1)
    assert bench.judge.best(by_threads, ours=False) == (20, "onnx", 2)
    assert bench.judge.ratio(by_threads) == 4
    assert bench.judge.ratio(by_threads, library="torch") == 6
    assert bench.judge.ratio({"1": {"chainrule:fit": row(4)}}) is None


def test_a_library_means_its_plain_variant_or_all(bench: Any) -> None:
    setup = bench.processes.Setup(peers=("torch", "jax", "chainrule:fit"))
    peers = ["chainrule:fit", "chainrule:step", "torch", "torch:compile", "jax:step", "jax:scan", "onnx"]
    assert setup.chosen(peers) == ["chainrule:fit", "torch", "jax:step", "jax:scan"]
    assert bench.processes.Setup().chosen(peers) == peers


def test_goals_are_met_missed_or_not_measured(bench: Any) -> None:
    fast = {"1": {"chainrule:fit": row(1), "torch": row(12)}}
    results = {
        "limits": {"missing": "none"},
        "workloads": {"tiny": fast, "digits": {"1": {"chainrule:fit": row(10), "torch": row(39)}}},
        "wheel": {"megabytes": 5.1},
        "load": {"tiny": {"chainrule:fit": {"samples": {"quiet": [2], "loaded": [5]}}}},
    }
    met = {goal["name"]: goal["met"] for goal in bench.goals.judged(results)}
    assert met["tiny"] is True
    assert met["digits"] is False
    assert met["mnist"] is None
    assert met["wheel"] is False
    assert met["under load"] is True


def test_limits_follow_from_what_the_machine_can_do(bench: Any) -> None:
    limits = {
        "peak": [{"threads": 1, "GFLOP/s": 100.0}],
        "updates": [
            {"parameters": 1000, "threads": 1, "Adam": 100.0, "SGD": 50.0},
            {"parameters": 100_000, "threads": 1, "Adam": 10_000.0, "SGD": 5_000.0},
        ],
    }
    assert bench.limits.update_us(limits, 10_000, "Adam", 1) == pytest.approx(1.0)
    assert bench.limits.update_us(limits, 1_000_000, "SGD", 1) == pytest.approx(50.0)
    # digits: 32 x (64 x 128 x 4 + 128 x 64 x 6 + 64 x 10 x 6) operations, 17 226 parameters
    expected = 32 * (64 * 128 * 4 + 128 * 64 * 6 + 64 * 10 * 6) / 100e3 + 1.7226
    assert bench.limits.of_name(limits, "digits", 1) == pytest.approx(expected)
    assert bench.limits.of_name(limits, "digits", 2) is None
    assert bench.limits.combined([{"a": [1.0]}, {"a": [3.0]}, {"a": [10.0]}]) == {"a": [3.0]}


def test_exponents_are_fitted_where_the_cost_grows(bench: Any) -> None:
    samples = {str(n): [5.0 + n**2, 1e9, 0.0] for n in (1, 10, 100, 1000, 10000)}
    assert bench.growth.exponent({"samples": samples}) == pytest.approx(2, abs=1e-3)


def test_one_process_measures_several_workloads_in_turn(bench: Any) -> None:
    asked = []

    def measure(peer: str, names: list[str], first: bool) -> dict[str, Any]:
        asked.append((peer, *names, first))
        answers = {name: {"samples": {"us": len(asked)}} for name in names}
        return {**answers, "b": {"missing": "why"}} if peer == "torch" and "b" in names else answers

    groups = bench.processes.groups_in_turn("title", ["a", "b"], ["torch", "jax"], 2, measure)
    assert asked == [
        ("torch", "a", "b", True), ("jax", "a", "b", True), ("torch", "a", False), ("jax", "a", "b", False)
    ]  # fmt: skip
    assert groups["a"] == {"torch": row(1, 3), "jax": row(2, 4)}
    assert groups["b"] == {"torch": {"samples": {}, "missing": "why"}, "jax": row(2, 4)}


def test_a_library_that_fails_is_missing_where_it_did(bench: Any) -> None:
    program = """print('{"a": {"samples": {"us": 1}}}'); raise ValueError("no more")"""
    found = bench.processes.answers(bench.processes.Setup(), [sys.executable, "-c", program], ["a", "b"])
    assert found == {"a": {"samples": {"us": 1}}, "b": {"missing": "ValueError: no more"}}


def test_the_full_run_takes_less_than_an_hour(bench: Any) -> None:
    """By the estimate that it prints."""
    setup = bench.processes.Setup(threads=(1, 2))
    names = [*bench.workloads.WORKLOADS, *(name for name in bench.plan.OTHERS if name != "memory")]
    seconds = sum(bench.plan.units(setup, names).values())
    assert 1500 < seconds < 3000
    progress = bench.plan.Progress([60.0, 120.0])
    assert progress.line("tiny") == "== 1 of 2: tiny; 0 s gone, about 3 min to go"


def test_adam_with_a_constant_gradient(bench: Any) -> None:
    w = bench.workloads.WORKLOADS["adam1e3"]
    p, g = (a.astype(np.float64) for a in bench.workloads.parameter_and_gradient(w))
    m = v = np.zeros_like(p)
    for t in range(1, 101):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        p = p - w.lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(bench.workloads.updated_parameter(w, 100), p, rtol=1e-12, atol=1e-12)


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    start = [sys.executable, PEERS / "run.py", "fashion", "--fashion", tmp_path, "--limits", "none"]
    done = subprocess.run(
        [*start, "--json", tmp_path / "numbers.json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"not measured: no {tmp_path / 'train-images-idx3-ubyte.gz'}, " in done.stdout
    assert "dataset-fashion-mnist has the files; name another folder by --fashion" in done.stdout


def test_fashion_in_one_library(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part, n in (("train", 300), ("t10k", 100)):
        labels = rng.integers(0, 10, n, dtype=np.uint8)
        images = rng.integers(0, 50, (n, 28, 28))
        images[np.arange(n), 2 * labels] += 200  # a row of the picture tells the class
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
            content = gzip.compress(head + array.astype(np.uint8).tobytes())
            (tmp_path / f"{part}-{kind}-ubyte.gz").write_bytes(content)
    command = [sys.executable, PEERS / "fashion_worker.py", "chainrule", tmp_path, "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    samples = json.loads(done.stdout)["chainrule"]["samples"]
    assert set(samples) == {"import", "read", "train", "test", "accuracy", "memory"}
    assert samples["accuracy"] > 90


def test_the_page_gets_the_tables_of_a_run(bench: Any) -> None:
    absent = {"samples": {}, "missing": "no jax"}
    goal = {"name": "tiny", "target": 2, "unit": "x", "at_least": True, "value": 0.5, "met": False}
    results = {
        "limits": {"missing": "none"},
        "workloads": {"tiny": {"1": {"chainrule:fit": row(10), "torch": row(5), "jax:step": absent}}},
        "goals": [goal],
    }
    page = "a\n<!-- run training -->\nold\n<!-- end -->\nb\n<!-- run load -->\nkept\n<!-- end -->\n"
    new = bench.page.refreshed(page + "<!-- run losses -->\n<!-- end -->\n", results)
    assert "old" not in new
    assert "| chainrule:fit | 10.0 (10.0 - 10.0) |\n" in new
    assert "- jax:step: missing in tiny (1): no jax\n" in new
    assert "<!-- run load -->\nkept\n<!-- end -->" in new
    assert "| tiny, 1 thread | 10.0 us | torch: 5.00 us |" in new
    assert "| goal: tiny | 0.50 | at least 2 x |" in new
    with pytest.raises(SystemExit, match="no table nothing; there are machine, training"):
        bench.page.refreshed("<!-- run nothing -->\n<!-- end -->", results)


def test_every_table_of_the_page_exists(bench: Any) -> None:
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert {name for _, name, _, _ in bench.page.BLOCK.findall(text)} == set(bench.page.TABLES)
    assert text.count("<!-- run ") == len(bench.page.TABLES) + 1  # and where they are explained


@pytest.mark.build
def test_the_native_programs_run() -> None:
    run("cmake", "-S", ROOT, "-B", library(), "-DCHAINRULE_BENCH=ON")
    run("cmake", "--build", library(), "--target", "bench")
    programs = {
        "limits": ["--threads", "1"],
        "matmul": ["tiny 32-2"],
        "kernels": ["softmax"],
        "steps": ["tiny", "--threads", "1"],
    }
    for name, words in programs.items():
        program = library() / "bench" / name
        tables = json.loads(run(program, *words, "--json", "-", "--seconds", "0.001"))
        rows = [
            row
            for table in tables.values()
            if isinstance(table, list)
            for row in table
            if isinstance(row, dict)
        ]
        assert rows
        numbers = {key: value for row in rows for key, value in row.items() if not isinstance(value, str)}
        counted = {key: value for key, value in numbers.items() if "allocations" in key}
        assert not any(counted.values()), counted
        assert all(value > 0 for key, value in numbers.items() if key not in counted), numbers
        assert "DIFFERS" not in str(rows)
        with pytest.raises(AssertionError, match="--seconds"):
            run(program, "--seconds", "-1")
