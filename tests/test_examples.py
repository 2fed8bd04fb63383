"""Everything shown to users runs: the programs in examples/, and the code blocks of README.md and docs/.

A page's Python blocks run in order in one namespace. A C++ block is a whole program.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from cpp_build import ROOT, build, library, run

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SCRIPTS = sorted((ROOT / "examples" / "python").glob("*.py"))


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """(line number of the first line, text) of the page's blocks in a language."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)
    return [(text.count("\n", 0, match.start(1)) + 1, match[1]) for match in found]


def with_blocks(language: str) -> list[Path]:
    return [page for page in PAGES if blocks(page, language)]


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=names(SCRIPTS))
def test_python_example(script, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("page", with_blocks("python"), ids=names(with_blocks("python")))
def test_python_blocks(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "page"}
    for line, text in blocks(page, "python"):
        exec(compile("\n" * (line - 1) + text, str(page), "exec"), namespace)


def test_readme_trains_to_its_accuracy():
    """The text beside the program names a number; it is checked on the program's own history."""
    (text,) = re.findall(
        r'history\["val_accuracy"\]\[-1\] is above ([\d.]+)', (ROOT / "README.md").read_text()
    )
    X, y = cr.datasets.load_digits(split="train")
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10), seed=0)
    trainer = cr.Trainer(
        model, nn.CrossEntropyLoss(), optim.AdamW(lr=2e-3, weight_decay=1e-4), metrics=["accuracy"]
    )
    held_out = cr.datasets.load_digits(split="test")
    history = trainer.fit(X, y, epochs=30, batch_size=32, validation_data=held_out)
    assert history["val_accuracy"][-1] > float(text)


LINKED = [*PAGES, *sorted(ROOT.glob("*/README.md")), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


@pytest.mark.parametrize("page", LINKED, ids=names(LINKED))
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


# --- C++
@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """The library, installed."""
    folder = tmp_path_factory.mktemp("installed")
    run("cmake", "--install", library(), "--prefix", folder)
    return folder


@pytest.mark.build
def test_cpp_xor(prefix, tmp_path):
    build(ROOT / "examples" / "cpp" / "xor", tmp_path, f"-DCMAKE_PREFIX_PATH={prefix}")
    assert "1 xor 0 = 0.9" in run(tmp_path / "xor")


@pytest.mark.build
def test_cpp_digits(prefix, tmp_path):
    """Trained in C++ and applied in Python; trained in Python and applied in C++."""
    build(ROOT / "examples" / "cpp", tmp_path, f"-DCMAKE_PREFIX_PATH={prefix}")
    X, y = cr.datasets.load_digits()
    np.save(tmp_path / "images.npy", X)
    np.save(tmp_path / "labels.npy", y)
    out = tmp_path / "cpp.safetensors"
    assert "accuracy 0.9" in run(
        tmp_path / "digits_train", tmp_path / "images.npy", tmp_path / "labels.npy", out
    )
    assert (cr.load(out).predict(X, output="class") == y).mean() > 0.95

    model = nn.MLP([64, 32, 10], seed=0)
    cr.Trainer(model, nn.CrossEntropyLoss(), optim.Adam(lr=3e-3)).fit(X, y, epochs=3)
    model.save(tmp_path / "python.safetensors")
    shown = run(tmp_path / "digits_predict", tmp_path / "python.safetensors", tmp_path / "images.npy")
    assert np.array_equal(np.array(shown.split(), np.int64), model.predict(X, output="class"))
    with pytest.raises(AssertionError, match=r"digits_predict: .*nothing"):
        run(tmp_path / "digits_predict", tmp_path / "nothing", tmp_path / "images.npy")


@pytest.mark.build
def test_cpp_blocks(prefix, tmp_path):
    """All pages' programs as one project."""
    lines = [
        "cmake_minimum_required(VERSION 3.21)",
        "project(pages LANGUAGES CXX)",
        "find_package(chainrule REQUIRED)",
        "link_libraries(chainrule::chainrule)",
    ]
    programs = []
    for page in with_blocks("cpp"):
        for line, text in blocks(page, "cpp"):
            name = f"{page.stem.lower()}_{line}"
            (tmp_path / f"{name}.cpp").write_text(f'#line {line} "{page}"\n{text}', encoding="utf-8")
            lines.append(f"add_executable({name} {name}.cpp)")
            programs.append(name)
    assert programs
    (tmp_path / "CMakeLists.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    build(tmp_path, tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    for name in programs:
        run(tmp_path / "build" / name, cwd=tmp_path)
