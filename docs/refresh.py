"""Writes what the pages show of the library's own output: printed text, pictures, the table of ops.

python docs/refresh.py            # after a change; needs the package importable, and Graphviz for pictures
python docs/refresh.py --check    # exit code 1, naming what is out of date

In a page, the block ```text behind a block ```python is what that one prints, and ![...](pictures/NAME.svg)
is a drawing of its variable NAME. It ends with a digest of what was drawn: comparing needs no Graphviz.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import sys
from pathlib import Path

import chainrule as cr

DOCS = Path(__file__).parent
PAGES = [DOCS / "differentiation.md"]
OPS = DOCS / "ops.md"
COMMAND = "python docs/refresh.py"

_PARTS = re.compile(
    r"(^```python\n.*?^```$)|(^```text\n.*?^```$)|(!\[[^\]]*\]\(pictures/\w+\.svg\))", re.M | re.S
)
_TITLES = "op, what it computes, operands, attributes, derivative, gradient, keeps, vmap, dtypes, FLOP"


def _digest(dot: str) -> str:
    return f"<!-- drawn from {hashlib.sha256(dot.encode()).hexdigest()} -->\n"


def _graph(value: object) -> cr.Graph:
    return value if isinstance(value, cr.Graph) else value.graph  # type: ignore[attr-defined]


def refreshed(page: Path) -> tuple[str, dict[str, cr.Graph]]:
    """The page with its outputs made anew, and its pictures by name."""
    names: dict[str, object] = {"__name__": "page"}
    pictures: dict[str, cr.Graph] = {}
    printed = ""

    def part(found: re.Match[str]) -> str:
        nonlocal printed
        program, output, picture = found.groups()
        if program:
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(program[len("```python\n") : -3], str(page), "exec"), names)
            printed = out.getvalue()
            return program
        if output:
            return "```text\n" + "".join(line.rstrip() + "\n" for line in printed.splitlines()) + "```"
        (name,) = re.findall(r"pictures/(\w+)\.svg", picture)
        pictures[name] = _graph(names[name])
        return picture

    return _PARTS.sub(part, page.read_text(encoding="utf-8")), pictures


def _row(op: dict[str, object]) -> str:
    def code(text: object) -> str:
        return f"`{text}`" if text else ""

    operands = str(op["min_inputs"])
    if op["max_inputs"] != op["min_inputs"]:
        operands += f" to {op['max_inputs']}"
    rule = re.sub(r", (g\w+ = )", r"`, `\1", str(op["rule"]))
    cells = (
        code(op["name"]),
        op["doc"],
        operands,
        ", ".join(f"{name} ({kind})" for name, kind in op["attributes"].items()),  # type: ignore[attr-defined]
        op["derivative"],
        code(rule),
        code(op["saves"]),
        op["batch"],
        ", ".join(op["dtypes"]) or "any",  # type: ignore[arg-type]
        op["flops"],
    )
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |\n"


def ops_page() -> str:
    """docs/ops.md, from the registry."""
    head, _, _ = OPS.read_text(encoding="utf-8").partition("## Ops with a public name")
    table = sorted(cr.op_table(), key=lambda op: op["name"])
    text = head
    for title, internal in (("Ops with a public name", False), ("Ops of derivatives and programs", True)):
        text += f"## {title}\n\n| {_TITLES.replace(', ', ' | ')} |\n{'| --- ' * 10}|\n"
        text += "".join(_row(op) for op in table if op["internal"] is internal) + "\n"
    return text.rstrip() + "\n"


def _same(committed: str, now: str) -> bool:
    """Equal but for rounding noise, which depends on the instruction set."""

    def plain(text: str) -> str:
        text = re.sub(r"-?\d\S*e-(09|1\d)\b", "~0", text)
        return re.sub(r" +", " ", re.sub(r"-{4,}", "----", text))

    return plain(committed) == plain(now)


def main() -> int:
    check = "--check" in sys.argv[1:]
    stale = []

    def put(path: Path, text: str, same: bool) -> None:
        if same:
            return
        stale.append(str(path.relative_to(DOCS.parent)))
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")

    pages = [(page, *refreshed(page)) for page in PAGES]
    for path, text in [(page, text) for page, text, _ in pages] + [(OPS, ops_page())]:
        put(path, text, _same(path.read_text(encoding="utf-8"), text))
    drawn = set()
    for _, _, pictures in pages:
        for name, graph in pictures.items():
            path, digest = DOCS / "pictures" / f"{name}.svg", _digest(graph.to_dot())
            drawn.add(path)
            current = path.exists() and path.read_text(encoding="utf-8").endswith(digest)
            put(path, "" if check or current else graph.to_svg() + digest, current)
    for path in set((DOCS / "pictures").glob("*.svg")) - drawn:
        stale.append(f"docs/pictures/{path.name} (no page shows it)")
        if not check:
            path.unlink()
    for name in stale:
        print(f"{name} is out of date: run {COMMAND}" if check else f"wrote {name}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
