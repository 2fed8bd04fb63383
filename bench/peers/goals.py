"""The goals, and whether a run met them. What a run did not measure is said to be so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import chain_memory
import differentiation
import eager
import limits
import native
import startup
import training
from judge import best, median, ratio
from tables import markdown
from workloads import WORKLOADS

Results = dict[str, Any]


class Goal(NamedTuple):
    name: str
    value: Callable[[Results], float | None]
    target: float
    unit: str
    at_least: bool = True


def faster(name: str, library: str = "") -> Callable[[Results], float | None]:
    return lambda results: ratio(results.get("workloads", {}).get(name, {}), "us", library)


def share_of_streams(results: Results) -> float | None:
    ours = best(results.get("workloads", {}).get("adam1e7", {}), ours=True)
    least = limits.of_name(results["limits"], "adam1e7", ours.threads) if ours else None
    return 100 * least / ours.value if ours and least else None


def share_of_peak(results: Results) -> float | None:
    """The step of `wide` on all threads."""
    by_threads = results.get("workloads", {}).get("wide", {})
    threads = max(map(int, by_threads), default=0)
    ours = best({threads: by_threads.get(str(threads), {})}, ours=True)
    peak = limits.peak(results["limits"], threads)
    return WORKLOADS["wide"].flops() / ours.value / 10 / peak if ours and peak else None


def slowest_first_step(results: Results) -> float | None:
    """Of all but `wide`, whose arithmetic alone takes longer."""
    small = [rows for name, rows in results.get("start", {}).items() if name != "wide"]
    medians = (median(rows.get("chainrule:fit", {}), "first_ms") for rows in small)
    return max((ms for ms in medians if ms is not None), default=None)


def least_product(results: Results) -> float | None:
    return native.least_share(results.get("native", {}), "wide")


def least_eager(results: Results) -> float | None:
    return min(eager.ratios(results.get("eager", {})).values(), default=None)


def slowdown(results: Results) -> float | None:
    return max(training.slowdowns(results.get("load", {}), "chainrule"), default=None)


def import_ratio(results: Results) -> float | None:
    return startup.import_ratio(results["import"]) if "import" in results else None


def allocations(results: Results) -> float | None:
    return native.most_allocations(results.get("native", {}))


def eager_chain(results: Results) -> float | None:
    return eager.ratios(results.get("eager", {})).get(eager.CHAIN)


def derivative(case: str, library: str) -> Callable[[Results], float | None]:
    return lambda results: differentiation.times_faster(results.get("derivatives", {}), case, library)


def chain_share(peer: str) -> Callable[[Results], float | None]:
    return lambda results: chain_memory.share(results.get("derivatives", {}).get("memory", {}), peer)


GOALS = [
    Goal("tiny", faster("tiny"), 12, "x the best rival"),
    Goal("digits", faster("digits"), 4, "x the best rival"),
    Goal("mnist", faster("mnist"), 2.2, "x the best rival"),
    Goal("deep", faster("deep"), 2, "x the best rival"),
    Goal("wide", faster("wide"), 1.6, "x the best rival"),
    Goal("wide, step", share_of_peak, 85, "% of all processors' FMA peak"),
    Goal("wide, products", least_product, 92, "% of all processors' FMA peak"),
    Goal("infer1", faster("infer1", "onnx"), 1.7, "x onnxruntime"),
    Goal("infer1", faster("infer1", "torch"), 6, "x PyTorch"),
    Goal("eager operation, worst", least_eager, 2, "x PyTorch"),
    Goal("adam1e7", share_of_streams, 90, "% of the loop with the same streams"),
    Goal("under load", slowdown, 2.5, "x the quiet time", False),
    Goal("import", import_ratio, 1.5, "x `import numpy`", False),
    Goal("wheel", lambda r: r.get("wheel", {}).get("megabytes"), 5, "MB", False),
    Goal("first step", slowest_first_step, 50, "ms", False),
    Goal("allocations in 10 steps", allocations, 0, "after the first steps", False),
    Goal("eager chain with backward", eager_chain, 2, "x PyTorch"),
    Goal("Hessian, compiled", derivative("hessian", "torch"), 10, "x PyTorch, torch.func"),
    Goal("Hessian, compiled", derivative("hessian", "jax"), 1, "x JAX, jitted"),
    Goal("Jacobians, compiled", derivative("jacobian", "jax"), 1, "x JAX, jitted"),
    Goal("memory of backward, eager", chain_share("chainrule:eager"), 110, "% of the least", False),
    Goal("memory of backward, compiled", chain_share("chainrule:compiled"), 110, "% of the least", False),
]  # fmt: skip


def judged(results: Results) -> list[dict[str, Any]]:
    rows = []
    for goal in GOALS:
        value = goal.value(results)
        met = None if value is None else value >= goal.target if goal.at_least else value <= goal.target
        rows.append({**goal._asdict(), "value": value, "met": met})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    words = {None: "not measured", True: "met", False: "missed"}
    lines = [
        [
            row["name"],
            f"{'at least' if row['at_least'] else 'at most'} {row['target']:g} {row['unit']}",
            "" if row["value"] is None else f"{row['value']:.2f}",
            words[row["met"]],
        ]
        for row in rows
    ]
    return markdown(["goal", "", "measured", ""], lines)
