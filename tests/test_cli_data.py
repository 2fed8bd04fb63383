"""The command line on tables and on image files."""

import json
import re

import chainrule as cr
import numpy as np
import pytest
from command import fails, images, read_rows, write_idx, write_table


class TestTables:
    def test_text_columns(self, run, tmp_path):
        write_table(tmp_path / "flowers.csv")
        out = run(
            "train", "flowers.csv", "--target", "species", "--layers", "16", "--epochs", 20, "--lr", 0.01
        ).stdout
        assert "3 classes" in out
        assert "5 features" in out
        history = json.loads((tmp_path / "flowers.json").read_text())
        assert history["results"]["validation"]["accuracy"] > 0.85
        model = cr.load(tmp_path / "flowers.safetensors")
        assert model.schema.classes == ["kind a", "kind b", "kind c"]

        write_table(tmp_path / "new.csv", 20, seed=1)
        run("predict", "flowers.safetensors", "new.csv", "--out", "p.csv")
        rows = read_rows(tmp_path / "p.csv")
        truth = [row["species"] for row in read_rows(tmp_path / "new.csv")]
        assert np.mean([row["species"] == kind for row, kind in zip(rows, truth, strict=True)]) > 0.8
        assert set(rows[0]) == {"species", "p_kind a", "p_kind b", "p_kind c"}
        assert (
            run("predict", "flowers.safetensors", "new.csv", "--out", "-").stdout
            == (tmp_path / "p.csv").read_text()
        )
        text = run("info", "flowers.safetensors").stdout
        assert "2 numeric, 1 categorical" in text
        assert "kind a, kind b, kind c" in text

    def test_missing_cells(self, run, tmp_path):
        write_table(tmp_path / "holes.csv", missing=True)
        strict = ("train", "holes.csv", "--target", "species", "--missing", "error")
        fails(run, r'holes\.csv line 5, column "length".*missing.* use --missing fill ', *strict)
        assert not (tmp_path / "holes.safetensors").exists()
        out = run("train", "holes.csv", "--target", "species", "--missing", "drop", "--epochs", 2).stdout
        assert "12 of 120 rows with missing values were dropped" in out
        out = run("train", "holes.csv", "--target", "species", "--epochs", 2).stdout
        assert "note: 12 of 120 rows have missing cells, filled with the column's mean or most" in out
        run("predict", "holes.safetensors", "holes.csv")
        assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 121

    def test_metrics_by_name(self, run, tmp_path):
        write_table(tmp_path / "a.csv")
        train = ("train", "a.csv", "--target", "species", "--epochs", 2, "--metrics")
        out = run(*train, "f1_macro,top_2_accuracy,roc_auc").stdout
        assert re.search(r"^ +rows +f1_macro +loss +roc_auc +top_2_accuracy$", out, re.M)
        history = json.loads((tmp_path / "a.json").read_text())
        assert {"f1_macro", "val_roc_auc"} <= history["history"].keys()
        fails(run, r"no metric of this name: 'f1_marco'; did you mean f1_macro\?", *train, "f1_marco")
        fails(run, r"a name is there twice, got 'f1,f1'", *train, "f1,f1")
        fails(run, r"mae: output and target differ", *train, "mae")

    def test_a_test_table(self, run, tmp_path):
        write_table(tmp_path / "a.csv")
        write_table(tmp_path / "b.csv", 50, seed=2)
        out = run("train", "a.csv", "--target", "species", "--test", "b.csv", "--epochs", 2).stdout
        assert re.search(r"^test +50 ", out, re.M)

    def test_regression_in_the_targets_own_units(self, run, tmp_path):
        rng = np.random.default_rng(0)
        x = rng.uniform(-1, 1, 200)
        lines = ["x,junk,y", *(f"{v:.5f},{i},{1000 + 300 * v + rng.normal():.4f}" for i, v in enumerate(x))]
        (tmp_path / "line.csv").write_text("\n".join(lines) + "\n")
        run(
            "train",
            "line.csv",
            "--target",
            "y",
            "--ignore",
            "junk",
            "--epochs",
            40,
            "--lr",
            0.01,
            "--layers",
            "16",
        )
        results = json.loads((tmp_path / "line.json").read_text())["results"]["validation"]
        assert results["r2"] > 0.98
        assert 1 < results["rmse"] < 40
        (tmp_path / "new.csv").write_text("x,junk\n0.5,1\n")
        run("predict", "line.safetensors", "new.csv")
        head, value = (tmp_path / "predictions.csv").read_text().split()
        assert head == "y"
        assert float(value) == pytest.approx(1150, abs=40)

    def test_mistakes(self, run, tmp_path):
        write_table(tmp_path / "a.csv")
        fails(run, "--target: length, width, colour, species", "train", "a.csv")
        fails(run, "nothing.*length, width, colour, species", "train", "a.csv", "--target", "nothing")
        fails(run, r"nowhere\.csv: no such file", "train", "nowhere.csv", "--target", "y")
        (tmp_path / "empty.csv").write_text("")
        fails(run, r"empty\.csv", "train", "empty.csv", "--target", "y")
        (tmp_path / "ragged.csv").write_text("a,b\n1,2\n1,2,3\n")
        fails(run, r"ragged\.csv.*line 3", "train", "ragged.csv", "--target", "b")
        (tmp_path / "one.csv").write_text("a,b\n" + "1,x\n" * 10)
        fails(run, "same value", "train", "one.csv", "--target", "b")
        run("train", "a.csv", "--target", "species", "--epochs", 1)
        (tmp_path / "less.csv").write_text("length,width\n1,2\n")
        fails(run, "colour", "predict", "a.safetensors", "less.csv")
        (tmp_path / "text.csv").write_text("length,width,colour\n1,oops,red\n")
        fails(run, r'line 2, column "width".*oops', "predict", "a.safetensors", "text.csv")


class TestArrays:
    def test_idx_pairs(self, run, tmp_path):
        for name, n, seed in (("train", 300, 0), ("t10k", 60, 1)):
            X, y = images(n, seed)
            write_idx(tmp_path / f"{name}-images-idx3-ubyte.gz", X)
            write_idx(tmp_path / f"{name}-labels-idx1-ubyte.gz", y)
        train, test = (
            [f"{name}-{what}-ubyte.gz" for what in ("images-idx3", "labels-idx1")]
            for name in ("train", "t10k")
        )
        out = run(
            "train",
            *train,
            "--layers",
            "16,8",
            "--dropout",
            0.2,
            "--epochs",
            8,
            "--test",
            *test,
            "--out",
            "m.safetensors",
        ).stdout
        assert "36-16-8-2" in out
        assert re.search(r"^test +60 ", out, re.M)
        assert json.loads((tmp_path / "m.json").read_text())["results"]["test"]["accuracy"] > 0.95
        run("predict", "m.safetensors", test[0])
        picked = [int(row["class"]) for row in read_rows(tmp_path / "predictions.csv")]
        assert np.mean(picked == images(60, 1)[1]) > 0.95
        assert "6 x 6, divided by 255" in run("info", "m.safetensors").stdout

    def test_labels_need_not_count_from_0(self, run, tmp_path):
        X, y = images(100)
        np.savez(tmp_path / "a.npz", X=X, y=np.where(y, "right", "left"))
        run("train", "a.npz", "--epochs", 5)
        run("predict", "a.safetensors", "a.npz")
        head = (tmp_path / "predictions.csv").read_text().splitlines()[0]
        assert head == "class,p_left,p_right"

    def test_npy_pair_and_regression(self, run, tmp_path):
        X = np.random.default_rng(0).normal(size=(200, 3))
        np.save(tmp_path / "X.npy", X)
        np.save(tmp_path / "y.npy", X @ [1.0, 2.0, 3.0])
        out = run("train", "X.npy", "y.npy", "--epochs", 30, "--lr", 0.01).stdout
        assert "regression" in out
        assert json.loads((tmp_path / "X.json").read_text())["results"]["validation"]["r2"] > 0.95
        run("predict", "X.safetensors", "X.npy")
        assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 201

    def test_mistakes(self, run, tmp_path):
        X, y = images(30)
        np.save(tmp_path / "X.npy", X)
        np.save(tmp_path / "y.npy", y[:-1])
        fails(run, "30 samples .*29 labels", "train", "X.npy", "y.npy")
        fails(run, "second file", "train", "X.npy")
        np.save(tmp_path / "bad.npy", np.array([{}], object), allow_pickle=True)
        fails(run, r"bad\.npy", "train", "bad.npy", "y.npy")
        np.savez(tmp_path / "a.npz", X=X)
        fails(run, "no array 'y'", "train", "a.npz")
        (tmp_path / "cut.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:100])
        fails(run, r"cut\.npz", "train", "cut.npz")
        nan = X.astype(np.float32)
        nan[3, 0, 0] = np.nan
        np.savez(tmp_path / "nan.npz", X=nan, y=y)
        fails(run, "sample 3 .*not finite", "train", "nan.npz")
        np.savez(tmp_path / "none.npz", X=X[:0], y=y[:0])
        fails(run, "no samples", "train", "none.npz")
        write_idx(tmp_path / "cut-idx3-ubyte", X)
        data = (tmp_path / "cut-idx3-ubyte").read_bytes()
        (tmp_path / "cut-idx3-ubyte").write_bytes(data[:-5])
        fails(run, "cut-idx3-ubyte", "train", "cut-idx3-ubyte", "y.npy")
        (tmp_path / "strange.bin").write_bytes(b"abcdefgh")
        fails(run, "unknown kind of file", "train", "strange.bin", "y.npy")
