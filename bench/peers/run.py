"""Runs the workloads on every library in turn, and whatever else is asked for; prints tables, the machine's
limits and the goals. See bench/README.md."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import differentiation
import eager
import fashion
import goals
import growth
import limits
import native
import page
import picture
import plan
import startup
import tables
import training
from plan import OTHERS
from processes import Setup, worker
from workloads import TRAINING, WORKLOADS

GROUPS = {
    "train": TRAINING,
    "infer": [name for name, w in WORKLOADS.items() if w.kind == "infer"],
    "adam": [name for name, w in WORKLOADS.items() if w.kind == "update"],
    "all": [*WORKLOADS, *(name for name in OTHERS if name != "memory")],
}
NAMES = [*WORKLOADS, *OTHERS, "limits", *GROUPS]
STORED = {"first": "start", "memory": "start"}  # names of results that are not those of what was asked for
SHOWN = ("OMP_", "MKL_", "OPENBLAS_", "XLA_", "GOMP_", "KMP_", "CHAINRULE_", "TORCH")
RESULTS = limits.ROOT / "bench" / "results" / "peers.json"


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def versions(results: Any) -> Iterator[tuple[str, str]]:
    """From every row, wherever it is."""
    if isinstance(results, dict):
        yield from (pair for pair in results.get("versions", {}).items() if pair[0] != "threads")
        for value in results.values():
            yield from versions(value)


def environment(setup: Setup, results: dict[str, Any]) -> dict[str, Any]:
    hidden = setup.unset
    return {
        "date": f"{datetime.datetime.now().astimezone():%Y-%m-%d %H:%M %z}",
        "processor": processor(),
        "processors": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "libraries": dict(versions(results)),
        "settings": {k: v for k, v in sorted(os.environ.items()) if k.startswith(SHOWN) and k not in hidden},
        "load average at the end": [round(load, 1) for load in os.getloadavg()],
        "processes": setup.repeats,
        "seconds in each": setup.seconds,
    }


def report(results: dict[str, Any]) -> str:
    """Everything that was measured, as text."""
    workloads = results["workloads"]
    parts = ["# Limits", limits.tables(results["limits"])]
    kinds = {"train": "Training", "infer": "One sample", "update": "Adam's update"}
    for kind, title in kinds.items():
        chosen = {name: rows for name, rows in workloads.items() if WORKLOADS[name].kind == kind}
        if not chosen:
            continue
        parts.append(f"# {title}: microseconds, median (lowest - highest)")
        for n in sorted({n for rows in chosen.values() for n in rows}, key=int):
            parts += [f"{n} thread{'s' * (n != '1')}", tables.per_threads(chosen, n)]
        if kind == "infer":
            parts += ["single calls, 1 thread", tables.latencies(chosen, "1")]
        parts.append(tables.standing(chosen, lambda name, n: limits.of_name(results["limits"], name, n)))
    others: dict[str, tuple[str, Callable[[Any], str]]] = {
        "profile": ("One step of mnist", lambda result: str(result.get("text") or result.get("missing"))),
        "fashion": ("Fashion-MNIST from files", fashion.table),
        "derivatives": ("Derivatives, one thread", differentiation.table),
        "eager": ("One eager operation", eager.table),
        "import": ("Import", startup.table_import),
        "start": ("First step and memory", startup.table_start),
        "wheel": ("Wheel", startup.table_wheel),
        "scaling": ("Threads", training.table_scaling),
        "load": ("A busy loop on every processor", training.table_load),
        "growth": ("Growth, one thread", growth.table),
        "native": ("Without Python", native.table),
    }
    for name, (title, table) in others.items():
        if name in results:
            parts += [f"# {title}", table(results[name])]
    parts += ["# Goals", goals.table(results["goals"]), "# Remarks"]
    lines = [f"{key}: {value}" for key, value in results["environment"].items()]
    parts.append("\n".join(f"- {line}" for line in lines + tables.remarks(results)))
    return "\n\n".join(part for part in parts if part)


class Run:
    """One run of the command: measures in order, and keeps the file up to date."""

    def __init__(self, setup: Setup, options: argparse.Namespace) -> None:
        self.setup, self.options = setup, options
        self.results: dict[str, Any] = {"environment": {}, "limits": {}, "workloads": {}}
        if options.resume and options.json.is_file():
            self.results = json.loads(options.json.read_text())
        self.binary, self.why = limits.find(options.limits)
        known = self.results["limits"]
        same = known.get("threads") == list(setup.threads)
        self.samples: list[dict[str, Any]] = [known] if same else []
        if self.binary is None:
            print(self.why, file=sys.stderr)

    def sample_limits(self) -> None:
        """Again before each measurement: the clock of a shared machine wanders."""
        if self.binary is None:
            self.results["limits"] = self.results["limits"] or {"missing": self.why}
            return
        sample = limits.sample(self.binary, self.setup.threads, min(self.setup.seconds, 0.05))
        self.samples.append({**sample, "empty call, ns": limits.empty_calls()})
        self.results["limits"] = limits.combined(self.samples)

    def keep(self) -> None:
        self.results["goals"] = goals.judged(self.results)
        self.results["environment"] = environment(self.setup, self.results)
        self.options.json.parent.mkdir(parents=True, exist_ok=True)
        self.options.json.write_text(json.dumps(self.results, indent=1) + "\n", encoding="utf-8")

    def measure(self, names: list[str], chosen: list[str]) -> None:
        setup, results, (name, *_) = self.setup, self.results, names
        trained = [n for n in chosen if n in TRAINING]
        if name in WORKLOADS:
            results["workloads"].update(training.measure(setup, names))
        elif name == "profile":
            results[name] = worker(setup, "chainrule:fit", "profile", ["mnist"], max(setup.threads))["mnist"]
        elif name == "fashion":
            results[name] = fashion.measure(setup, self.options.fashion)
        elif name == "derivatives":
            results[name] = differentiation.measure(setup)
        elif name == "eager":
            results[name] = eager.measure(setup)
        elif name == "import":
            results[name] = startup.measure_import(setup)
        elif name in STORED:
            results["start"] = startup.measure_start(setup)
        elif name == "wheel":
            results[name] = startup.measure_wheel(self.options.wheel)
        elif name == "scaling":
            results[name] = training.measure_scaling(setup, trained or TRAINING, results["workloads"])
        elif name == "load":
            loaded = [n for n in training.LOADED if n in (trained or training.LOADED)]
            results[name] = training.measure_load(setup, loaded)
        elif name == "growth":
            results[name] = growth.measure(setup)
        elif name == "native":
            results[name] = native.measure(setup, self.binary.parent if self.binary else None)

    def known(self, name: str) -> bool:
        """Whether a resumed run has it already."""
        if name in self.results["workloads"]:
            return True
        result = self.results.get(STORED.get(name, name), {})
        return name != "limits" and bool(result) and "missing" not in result

    def all(self, chosen: list[str]) -> dict[str, Any]:
        """Workloads of one kind are measured together."""
        new = [name for name in chosen if not self.known(name)]
        units = plan.units(self.setup, new)
        progress = plan.Progress(list(units.values()))
        for title in units:
            print(progress.line(title), file=sys.stderr, flush=True)
            self.sample_limits()
            self.measure(title.split(), chosen)
            self.keep()
        return self.results


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    text = "what to measure; everything by default. Workloads: " + ", ".join(WORKLOADS)
    text += (
        "; groups: " + ", ".join(GROUPS) + "; limits; " + "; ".join(f"{k}: {v}" for k, v in OTHERS.items())
    )
    parser.add_argument("names", nargs="*", choices=NAMES, default="all", metavar="name", help=text)
    known = sorted({p for peers in training.PEERS.values() for p in peers})
    known += sorted({p.partition(":")[0] for p in known} - set(known))
    of = "of " + ", ".join(known)
    parser.add_argument("--peers", nargs="+", default=[], metavar="PEER", choices=known, help=of)
    parser.add_argument("--threads", nargs="+", type=int, default=[], metavar="N", help="1 and all")
    parser.add_argument("--repeats", type=int, default=10, help="processes per number (10)")
    parser.add_argument("--seconds", type=float, default=0.2, help="measured in each process (0.2)")
    python = "the Python that has a library"
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PATH", help=python)
    unset = "variable hidden from the peers"
    parser.add_argument("--unset", action="append", default=[], metavar="NAME", help=unset)
    binary = "the program `limits`, or none; built by default"
    parser.add_argument("--limits", metavar="PATH", help=binary)
    parser.add_argument("--wheel", type=Path, help="the newest in dist/ by default")
    parser.add_argument(
        "--fashion",
        type=Path,
        default=fashion.FOLDER,
        metavar="FOLDER",
        help=f"of the four files ({fashion.FOLDER})",
    )
    parser.add_argument(
        "--page", type=Path, help="put tables into this page (docs/performance.md), pictures beside it"
    )
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the numbers go")
    parser.add_argument("--picture", type=Path, help="where the picture goes (.png beside the JSON)")
    resume = "measure only what the JSON file does not hold yet"
    parser.add_argument("--resume", action="store_true", help=resume)
    parser.add_argument("--from", type=Path, dest="earlier", metavar="JSON", help="show an earlier run")
    options = parser.parse_args()
    available = len(os.sched_getaffinity(0))
    for threads in options.threads:
        if not 1 <= threads <= available:
            parser.error(f"--threads: 1 to {available} here, got {threads}")
    if options.repeats < 1 or not options.seconds > 0:
        parser.error("--repeats and --seconds must be positive")
    if wrong := [entry for entry in options.python if "=" not in entry]:
        parser.error(f"--python: give PEER=PATH, for example torch=/path/to/python; got {wrong[0]}")
    options.threads = tuple(sorted(set(options.threads))) or tuple(sorted({1, available}))
    return options


def main() -> None:
    options = parse()
    if options.earlier:
        results = json.loads(options.earlier.read_text())
        results["goals"] = goals.judged(results)
        options.json = options.earlier
    else:
        setup = Setup(
            options.repeats, options.seconds, options.threads,
            dict(entry.split("=", 1) for entry in options.python), tuple(options.unset), tuple(options.peers),
        )  # fmt: skip
        names = [options.names] if isinstance(options.names, str) else options.names
        named = {n for name in names for n in GROUPS.get(name, [name])}
        chosen = [name for name in NAMES if name in named]
        results = Run(setup, options).all(chosen)
    print(report(results))
    print(f"- {picture.draw(results, options.picture or options.json.with_suffix('.png'))}")
    if options.page:
        print(f"- {page.write(results, options.page)}")
    print(f"- numbers: {options.json}")


if __name__ == "__main__":
    main()
