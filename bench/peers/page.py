"""The tables of docs/performance.md, written into the page: what stands between <!-- run NAME --> and
<!-- end -->. What this run has not measured stays as it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import chain_memory
import differentiation
import eager
import fashion
import goals
import growth
import limits
import native
import picture
import startup
import training
from judge import best, median
from tables import by_library, latencies, markdown, number, remarks, standing
from workloads import WORKLOADS

Results = dict[str, Any]
BLOCK = re.compile(r"(<!-- run (\w+) -->\n)(.*?)(<!-- end -->)", re.S)


def of_kind(results: Results, kind: str) -> dict[str, Any]:
    return {name: rows for name, rows in results["workloads"].items() if WORKLOADS[name].kind == kind}


def workloads(results: Results, kind: str) -> str:
    chosen = of_kind(results, kind)
    counts = sorted({n for rows in chosen.values() for n in rows}, key=int)
    return "\n\n".join(by_library(chosen, n) for n in counts)


def against_best(results: Results, kind: str) -> str:
    least = lambda name, n: limits.of_name(results["limits"], name, n)  # noqa: E731
    return standing(of_kind(results, kind), least) if of_kind(results, kind) else ""


def machine(results: Results) -> str:
    e = results["environment"]
    libraries = ", ".join(f"{name} {version}" for name, version in e["libraries"].items() if name != "isa")
    return (
        f"{e['date']}, {e['processor']}, {e['processors']} processors, {e['system']}; {libraries}. "
        f"{e['processes']} processes in turn, fewer of slow libraries, {e['seconds in each']} s in each; "
        f"load average at the end {e['load average at the end'][0]}."
    )


def losses(results: Results) -> Iterator[list[str]]:
    """Every number of a rival that is better than ours beside it."""
    for name, by_threads in results["workloads"].items():
        for n, rows in by_threads.items():
            ours = best({n: rows}, ours=True)
            for peer, row in rows.items():
                us = median(row)
                if ours and us and not peer.startswith("chainrule") and us < ours.value:
                    yield [
                        f"{name}, {n} thread{'s' * (n != '1')}",
                        f"{number(ours.value)} us",
                        f"{peer}: {number(us)} us",
                    ]
    for name, faster in eager.ratios(results.get("eager", {})).items():
        if faster < 1:
            yield [f"`{name}`", "1", f"torch: {number(faster)} of our time"]
    for case in differentiation.CASES:
        for library in ("jax", "torch"):
            faster = differentiation.times_faster(results.get("derivatives", {}), case, library)
            if faster and faster < 1:
                yield [differentiation.CASES[case], "1", f"{library}: {number(faster)} of our time"]
    for name, title in fashion.COLUMNS.items():
        faster = fashion.times_faster(results.get("fashion", {}), name)
        if name != "accuracy" and faster and faster < 1:
            yield [f"Fashion-MNIST: {title}", "1", f"the best rival: {number(faster)} of ours"]
    for goal in results["goals"]:
        if goal["met"] is False:
            bound = "at least" if goal["at_least"] else "at most"
            yield [
                f"goal: {goal['name']}",
                f"{goal['value']:.2f}",
                f"{bound} {goal['target']:g} {goal['unit']}",
            ]


def lost(results: Results) -> str:
    lines = list(losses(results))
    return markdown(["", "chainrule", "better, or the goal"], lines) if lines else "None in this run."


def one_thread(chosen: dict[str, Any]) -> dict[str, Any]:
    return {name: {n: rows for n, rows in by.items() if n == "1"} for name, by in chosen.items()}


def profile(results: Results) -> str:
    text = results.get("profile", {}).get("text")
    return f"```\n{text}\n```" if text else ""


def section(title: str, text: str, table: str, drawing: str = "") -> str:
    """A part of the page that is there only when it was measured."""
    shown = f"![{title}](pictures/bench_{drawing}.png)" if drawing else ""
    return "\n\n".join(part for part in (f"## {title}", text, shown, table) if part) if table else ""


def trained(results: Results) -> str:
    """With the reasons why cells are empty, and how well the losses agree."""
    table = workloads(results, "train")
    return table and "\n".join([f"{table}\n", *(f"- {line}" for line in remarks(results))])


def training_standing(results: Results) -> str:
    table = against_best(results, "train")
    shown = "![Against the best rival](pictures/bench_standing.png)"
    columns = "The last column is what the ratio would be at the limit: no library can be faster than that."
    return table and f"{shown}\n\n{columns}\n\n{table}"


def machine_limits(results: Results) -> str:
    missing = "missing" in results["limits"]
    return section(
        "Limits", "What this machine can do at most.", "" if missing else limits.tables(results["limits"])
    )


def adam(results: Results) -> str:
    table = "\n\n".join(
        part for part in (workloads(results, "update"), against_best(results, "update")) if part
    )
    text = "One update by Adam from Python, microseconds; the limit is a bare loop over the same four arrays."
    return section("Updates", text, table, "updates")


def starts(results: Results) -> str:
    tables = {"start": startup.table_start, "import": startup.table_import, "wheel": startup.table_wheel}
    text = "The first step and all that comes before it, but the import; memory; the import; the wheel."
    return section("Start", text, "\n\n".join(t(results[n]) for n, t in tables.items() if n in results))


def of(
    name: str, title: str, text: str, table: Callable[[Any], str], drawing: str = ""
) -> Callable[[Results], str]:
    def written(results: Results) -> str:
        return section(title, text, table(results[name]), drawing) if name in results else ""

    return written


TABLES: dict[str, Callable[[Results], str]] = {
    "machine": machine,
    "training": trained,
    "standing": training_standing,
    "profile": profile,
    "fashion": of(
        "fashion", "Fashion-MNIST from its files",
        "784-256-128-10, ten epochs by Adam, from the start of Python to its end: importing, reading four "
        "gzip files, compiling, training and testing. Same sizes, same learning rate; initial weights and "
        "order are each library's own.", fashion.table,
    ),
    "infer": lambda r: workloads({**r, "workloads": one_thread(of_kind(r, "infer"))}, "infer"),
    "latencies": lambda r: latencies(of_kind(r, "infer"), "1") if of_kind(r, "infer") else "",
    "adam": adam,
    "derivatives": lambda r: differentiation.table_times(r["derivatives"]) if "derivatives" in r else "",
    "chain": lambda r: chain_memory.table(r.get("derivatives", {}).get("memory", {})),
    "eager": lambda r: eager.table(r["eager"]) if "eager" in r else "",
    "start": starts,
    "scaling": of("scaling", "Threads", "", training.table_scaling),
    "load": of(
        "load", "Under load", "On all threads, while every processor runs a busy loop.", training.table_load
    ),
    "growth": of(
        "growth", "Growth", "One thread; exponents are fitted to the larger half of the sizes.", growth.table,
        "growth",
    ),
    "products": of("native", "Matrix products on all threads, without Python", "", native.table_products),
    "limits": machine_limits,
    "goals": lambda r: section("Goals", "", goals.table(r["goals"])),
    "losses": lambda r: section("Where others are better, and goals missed", "", lost(r)),
}  # fmt: skip


def refreshed(text: str, results: Results) -> str:
    def block(found: re.Match[str]) -> str:
        begin, name, before, end = found.groups()
        if name not in TABLES:
            raise SystemExit(f"no table {name}; there are {', '.join(TABLES)}")
        table = TABLES[name](results)
        return begin + (f"\n{table}\n\n" if table else before) + end

    return BLOCK.sub(block, text)


def write(results: Results, path: Path) -> str:
    """Tables into the page, pictures into the folder beside it; what was done, in one line."""
    path.write_text(refreshed(path.read_text(encoding="utf-8"), results), encoding="utf-8")
    drawn = picture.draw_parts(results, path.parent / "pictures")
    return f"page: {path}; {drawn}"
