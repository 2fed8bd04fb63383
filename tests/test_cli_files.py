"""The command line and files: what it refuses to replace, and every dialect of CSV."""

import json

import chainrule as cr
import numpy as np
import pytest
from command import fails, read_rows, write_table


@pytest.fixture
def table(tmp_path):
    write_table(tmp_path / "a.csv")
    return ("train", "a.csv", "--target", "species", "--epochs", 1)


class TestReplacing:
    @pytest.mark.parametrize("name", ["a.png", "a.json", "a.safetensors"])
    def test_files_of_others_stay(self, run, tmp_path, table, name):
        """A picture or a JSON file beside the data is not the command's to replace."""
        (tmp_path / name).write_bytes(b'{"mine": 1}')
        fails(
            run,
            f"^chainrule: error: {name} exists and was not written by this command; name another file with",
            *table,
        )
        assert (tmp_path / name).read_bytes() == b'{"mine": 1}'
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a.csv", name])
        run(*table, "--out", "b.safetensors")
        assert (tmp_path / name).read_bytes() == b'{"mine": 1}'
        run(*table, "--force")
        assert cr.load(tmp_path / "a.safetensors").schema.target == "species"

    def test_links_and_pipes_stay(self, run, tmp_path, table):
        (tmp_path / "there.safetensors").write_bytes(b"")
        (tmp_path / "a.safetensors").symlink_to(tmp_path / "there.safetensors")
        fails(run, "a.safetensors is a link or no plain file, and would be replaced", *table, "--force")
        assert (tmp_path / "a.safetensors").is_symlink()

    def test_its_own_are_replaced(self, run, tmp_path, table):
        pytest.importorskip("matplotlib")
        run(*table)
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        assert before.keys() == {"a.csv", "a.json", "a.png", "a.safetensors"}
        run(*table, "--seed", 5)
        for name, content in before.items():
            assert ((tmp_path / name).read_bytes() == content) == (name == "a.csv")

    def test_predictions(self, run, tmp_path, table):
        run(*table)
        run("predict", "a.safetensors", "a.csv")
        run("predict", "a.safetensors", "a.csv")
        write_table(tmp_path / "b.csv", seed=1)
        before = (tmp_path / "b.csv").read_bytes()
        fails(run, "b.csv exists and was not written", "predict", "a.safetensors", "a.csv", "--out", "b.csv")
        (tmp_path / "notes.bin").write_bytes(b"\xff\xfe\x00")
        fails(run, "notes.bin exists", "predict", "a.safetensors", "a.csv", "--out", "notes.bin")
        assert (tmp_path / "b.csv").read_bytes() == before
        run("predict", "a.safetensors", "a.csv", "--out", "b.csv", "--force")
        assert len(read_rows(tmp_path / "b.csv")) == 120

    def test_a_training_that_runs_away_leaves_the_old_model(self, run, tmp_path, table):
        run(*table)
        before = (tmp_path / "a.safetensors").read_bytes()
        fails(
            run,
            "the loss was not finite in epoch 1, batch 2; lower --lr; nothing was written",
            *table,
            "--lr",
            "1e30",
        )
        assert (tmp_path / "a.safetensors").read_bytes() == before


class TestDialects:
    def test_semicolons_and_decimal_commas(self, run, tmp_path):
        rng = np.random.default_rng(0)
        size = rng.uniform(0, 10, 60).round(2)
        lines = [f"{s};{'tall' if s > 5 else 'short'}".replace(".", ",") for s in size]
        (tmp_path / "de.csv").write_text("size;species\n" + "\n".join(lines) + "\n")
        plain = ("train", "de.csv", "--target", "species", "--epochs", 3)
        fails(
            run, r'de.csv line 2, column "size": a number with a comma: .*; write --decimal , if that', *plain
        )
        fails(run, "too many cells|no column 'species'", *plain, "--delimiter", ",")
        run(*plain, "--decimal", ",", "--delimiter", ";")
        fails(run, "write --decimal ,", "predict", "de.safetensors", "de.csv")
        run("predict", "de.safetensors", "de.csv", "--decimal", ",")
        rows = read_rows(tmp_path / "predictions.csv")
        assert (
            np.mean([(row["species"] == "tall") == (s > 5) for row, s in zip(rows, size, strict=True)]) > 0.9
        )

    def test_tabs_without_a_header(self, run, tmp_path):
        rng = np.random.default_rng(0)
        rows = "".join(f"{x:.2f}\t{int(x > 0)}\n" for x in rng.normal(size=50))
        (tmp_path / "t.tsv").write_text(rows)
        fails(
            run,
            "has no header: the first line looks like data.*write --no-header",
            "train",
            "t.tsv",
            "--target",
            "y",
        )
        fails(run, "--target: column 1, column 2", "train", "t.tsv", "--no-header")
        run("train", "t.tsv", "--no-header", "--delimiter", "tab", "--target", "column 2", "--epochs", 1)
        run("predict", "t.safetensors", "t.tsv", "--no-header", "--out", "-")

    def test_words_for_missing_cells_and_numbers_that_are_names(self, run, tmp_path):
        rows = "".join(f"{'unknown' if i % 30 == 1 else i},{1000 + i % 3},{'ab'[i % 2]}\n" for i in range(60))
        (tmp_path / "w.csv").write_text("n,zip,y\n" + rows)
        plain = ("train", "w.csv", "--target", "y", "--epochs", 1)
        fails(
            run,
            r'line 3, column "n": not a number: .unknown.*name the word with --na, or the column with --text',
            *plain,
        )
        out = run(*plain, "--na", "unknown", "--text", "zip").stdout
        assert "note: 2 of 60 rows have missing cells" in out
        columns = dict(cr.load(tmp_path / "w.safetensors").schema.columns)
        assert columns == {"n": "numeric", "zip": "categorical"}

    @pytest.mark.parametrize(
        ("content", "match"),
        [
            (b"", "is empty; a line of column names and at least one row are needed"),
            (b"\n\n", "is empty; a line of column names"),
            (b"a,b,y\n", "has a header but no rows: 3 columns; add at least one row"),
            (b"a,b,y\n1,2,3\n1,2\n", "line 3: too few cells: 2 where the header has 3"),
            (b"a,a,y\n1,2,3\n", "two columns have the same name: 'a'"),
            (b'a,b,y\n1,"2,3\n', "line 2: a quote is opened and never closed"),
            (bytes(range(256)), "is no text: a zero byte in line 1"),
            (
                "gr\u00f6\u00dfe,y\n1,2\n".encode("latin-1"),
                "is not UTF-8: a byte in line 1; save it as UTF-8",
            ),
            ("a,y\n1,2\n".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        ],
    )
    def test_what_is_no_table(self, run, tmp_path, content, match):
        (tmp_path / "bad.csv").write_bytes(content)
        fails(run, f"^chainrule: error: read_csv: bad.csv.*{match}", "train", "bad.csv", "--target", "y")
        assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]

    def test_columns_that_are_not_there(self, run, tmp_path, table):
        run(*table)
        (tmp_path / "less.csv").write_text("length,colour\n1,red\n")
        fails(
            run,
            "less.csv: there is no column 'width', which the model was trained on",
            "predict",
            "a.safetensors",
            "less.csv",
        )
        fails(run, "--ignore: 'species' is the column to predict", *table, "--ignore", "species")
        fails(run, "there is no column 'what'", *table, "--ignore", "what")

    def test_no_validation(self, run, tmp_path, table):
        run(*table, "--validation", 0)
        assert json.loads((tmp_path / "a.json").read_text())["rows"] == {"train": 120}

    def test_the_same_words_for_a_file_that_is_not_there(self, run, tmp_path, table):
        run(*table)
        for arguments in (
            ("train", "nowhere.csv"),
            (*table, "--test", "nowhere.csv"),
            ("predict", "nowhere.csv", "a.csv"),
            ("predict", "a.safetensors", "nowhere.csv"),
            ("info", "nowhere.csv"),
        ):
            fails(run, "^chainrule: error: nowhere.csv: no such file\n$", *arguments)
