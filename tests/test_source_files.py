"""What sources read: NPY and CSV files, Parquet, frames, and pieces of generators."""

import sys

import chainrule as cr
import numpy as np
import pytest
from chainrule import data, nn, optim
from source_runs import npy, parameters, problem


@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f4", "<i2", "<u4", "u1", "?", "<i8", ">i4"])
def test_npy_windows_hold_what_numpy_reads(dtype, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2 if dtype == "?" else 100, size=(50, 3, 2)).astype(dtype)
    source = npy(tmp_path, X)
    assert source.rows == len(source) == 50
    for first, count in [(0, 50), (0, 1), (17, 20), (49, 1)]:
        got = source.read(first, count)
        assert got.dtype.isnative
        assert np.array_equal(got, X[first : first + count])
    one = npy(tmp_path, np.asfortranarray(np.arange(7.0)))
    assert np.array_equal(one.read(2, 3), [2.0, 3.0, 4.0])


def test_generators_count_once_and_join_pieces():
    X, y = problem(100)
    calls = []

    def pieces():
        calls.append(1)
        yield X[:10], y[:10]
        yield X[:0], y[:0]
        yield X[10:77], y[10:77]
        yield X[77:], y[77:]

    source = data.GeneratorSource(pieces)
    assert repr(source) == "GeneratorSource(rows not counted yet)"
    assert source.rows == 100
    assert repr(source) == "GeneratorSource(100 rows)"
    assert len(calls) == 1
    for first, count in [(0, 100), (5, 3), (5, 90), (99, 1), (10, 67)]:
        xb, yb = source.read(first, count)
        assert np.array_equal(xb, X[first : first + count])
        assert np.array_equal(yb, y[first : first + count])
    assert data.GeneratorSource([(X[:60], y[:60]), (X[60:], y[60:])]).rows == 100


CSV = 'age;job;income\n31;"baker; and cook";1,5\n40;smith;2,5\n\n;"says ""no""";0,5\n28;smith;1,0\n'


def table_text(n=9000, seed=0):
    rng = np.random.default_rng(seed)
    lines = ["a,kind,b,label"]
    for i in range(n):
        kind = ["red", "green", '"blue, or so"'][rng.integers(3)] if i % 5000 > 10 else "7"
        lines.append(f"{rng.normal():.4f},{kind},{rng.integers(100)},{'yes' if rng.random() > 0.4 else 'no'}")
    return "\n".join(lines) + "\n"


def test_csv_windows_are_what_read_csv_and_the_schema_give(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(table_text())
    whole = data.read_csv(path)
    schema = data.fit_schema(whole, "label")
    X, y = schema.encode(whole), schema.encode_target(whole)
    source = data.CsvSource(path, schema)
    assert source.rows == len(source) == 9000
    for first, count in [(0, 9000), (0, 1), (4095, 2), (4096, 4096), (8999, 1), (100, 5000)]:
        xb, yb = source.read(first, count)
        assert np.array_equal(xb, X[first : first + count])
        assert np.array_equal(yb, y[first : first + count])
    results = []
    for given in [(X, y), (data.CsvSource(path, schema, window_rows=2000),)]:
        trainer = cr.Trainer(
            nn.MLP([schema.width, 8, 2], seed=0),
            nn.CrossEntropyLoss(),
            optim.Adam(lr=0.01),
            metrics=["accuracy"],
        )
        history = trainer.fit(*given, epochs=2, batch_size=100, shuffle=False)
        results.append((parameters(trainer), history.to_dict()))
    assert results[0] == results[1]


def test_csv_of_other_dialects_without_targets_and_with_errors(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("\ufeff" + CSV)
    settings = {"decimal": ",", "delimiter": ";"}
    whole = data.read_csv(path, **settings)
    schema = data.fit_schema(whole, "income", missing="fill", task="regression")
    X, y = data.CsvSource(path, schema, **settings).read(1, 3)
    assert np.array_equal(X, schema.encode(whole)[1:])
    assert np.array_equal(y, schema.encode_target(whole)[1:])
    first = data.read_csv(path, rows=2, **settings)
    assert first.rows == 2
    assert first["job"] == ["baker; and cook", "smith"]
    assert data.read_csv(path, rows=100, **settings).rows == 4

    other = tmp_path / "no_target.csv"
    other.write_text("age;job\n5;smith\n")
    assert data.CsvSource(other, schema, **settings).read(0, 1).shape == (1, schema.width)
    strict = data.fit_schema(whole.take([0, 1, 3]), "income", task="regression")
    with pytest.raises(ValueError, match=r't.csv line 5, column "age"'):
        data.CsvSource(path, strict, **settings).read(0, 4)
    other.write_text("age;work\n5;smith\n")
    with pytest.raises(IndexError, match=r"no_target.csv: a column of the schema is missing: .job."):
        data.CsvSource(other, schema, **settings)
    other.write_text("age;job\n5;smith\n5\n")
    with pytest.raises(OSError, match=r"no_target.csv line 3: too few cells"):
        data.CsvSource(other, schema, **settings)
    with pytest.raises(ValueError, match="rows must be at least 1: 0"):
        data.read_csv(path, rows=0)


COLUMNS = {
    "a": np.linspace(0, 1, 120),
    "b": np.arange(120) % 7,
    "kind": ["red", "green", None, "blue"] * 30,
    "y": np.arange(120) % 2,
}


def frames():
    yield "dict", lambda columns: columns
    for name, make in [("pandas", "DataFrame"), ("polars", "DataFrame"), ("pyarrow", "table")]:
        yield name, lambda columns, name=name, make=make: getattr(pytest.importorskip(name), make)(columns)


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in frames()])
def test_frames(make):
    numbers = {name: COLUMNS[name] for name in ("a", "b", "y")}
    source = data.FrameSource(make(numbers), "y", window_rows=50)
    assert repr(source) == "FrameSource(120 rows, 2 features)"
    X, y = source.read(30, 40)
    assert X.dtype == np.float32
    assert np.array_equal(X, np.stack([COLUMNS["a"], COLUMNS["b"]], 1).astype(np.float32)[30:70])
    assert y.dtype == np.int64
    assert np.array_equal(y, COLUMNS["y"][30:70])
    trainer = cr.Trainer(nn.MLP([2, 4, 2], seed=0), nn.CrossEntropyLoss(), optim.Adam(lr=0.01))
    assert trainer.fit(source, epochs=2, batch_size=10).epochs == 2
    _, target = data.FrameSource(make(numbers), "a", features=["b"]).read(0, 5)
    assert target.shape == (5, 1)
    assert data.FrameSource(make(numbers), features=["b"]).read(0, 5).shape == (5, 1)

    frame = make(COLUMNS)
    table = data.to_table(frame)
    assert table.columns == ["a", "b", "kind", "y"]
    assert table["kind"][:4] == ["red", "green", "", "blue"]
    schema = data.fit_schema(table, "y", missing="fill")
    encoded = data.FrameSource(frame, schema=schema)
    X, y = encoded.read(17, 90)
    assert np.array_equal(X, schema.encode(table)[17:107])
    assert np.array_equal(y, schema.encode_target(table)[17:107])
    with pytest.raises(
        TypeError, match=r'column "kind" holds no numbers; give a schema: fit_schema\(to_table'
    ):
        data.FrameSource(frame, "y").read(0, 5)
    with pytest.raises(IndexError, match=r'FrameSource: there is no column "z"; there are a, b, kind, y'):
        data.FrameSource(frame, "z")
    with pytest.raises(ValueError, match="a schema names the target and the features"):
        data.FrameSource(frame, "y", schema=schema)


def test_tables_of_columns():
    assert data.to_table({"a": [1, None, 2.5]})["a"][0] == 1.0
    assert data.to_table({"a": [True, False]})["a"] == ["True", "False"]
    with pytest.raises(cr.ShapeError, match='columns differ in length: "b" has 1 rows, "a" 2'):
        data.to_table({"a": [1, 2], "b": [1]})
    with pytest.raises(
        TypeError, match="expected a pandas, polars or pyarrow table or a dict of columns, got int"
    ):
        data.to_table(3)


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in frames()])
@pytest.mark.parametrize("nest", [[[1, 2]] * 3, [[1], [1, 2], None], [{"x": 1, "z": 2}] * 3], ids=repr)
def test_columns_that_hold_no_cells(make, nest):
    frame = make({"a": [1.0, 2.0, 3.0], "nest": nest})
    columns = {"pandas": "list|dict", "polars": r"List\(Int64\)|Struct", "pyarrow": "list<|struct<"}
    holds = columns.get(type(frame).__module__.split(".")[0], "list|dict")
    refusal = rf'column "nest" holds ({holds}).*, which are no cells of a table; leave the column out$'
    with pytest.raises(TypeError, match="^to_table: " + refusal):
        data.to_table(frame)
    with pytest.raises(TypeError, match="^FrameSource: " + refusal):
        data.FrameSource(frame, "a").read(0, 3)
    assert data.FrameSource(frame, features=["a"]).read(0, 3).shape == (3, 1)


def test_arrays_as_cells():
    with pytest.raises(TypeError, match='column "a" holds ndarray, which are no cells'):
        data.to_table({"a": np.zeros((3, 2))})
    polars = pytest.importorskip("polars")
    pairs = polars.DataFrame({"a": [[1, 2]] * 3}, schema={"a": polars.Array(polars.Int64, 2)})
    with pytest.raises(TypeError, match=r'column "a" holds Array\(Int64, shape=\(2,\)\), which'):
        data.to_table(pairs)


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    frame = pyarrow.table(COLUMNS)
    path = tmp_path / "t.parquet"
    parquet.write_table(frame, path, row_group_size=25)
    schema = data.fit_schema(data.to_table(frame), "y", missing="fill")
    for settings in ({"target": "y", "features": ["a", "b"]}, {"schema": schema}):
        expected = data.FrameSource(frame, **settings)
        source = data.ParquetSource(path, **settings)
        assert source.rows == 120
        for first, count in [(0, 120), (3, 9), (20, 60), (24, 2), (119, 1)]:
            for got, wanted in zip(source.read(first, count), expected.read(first, count), strict=True):
                assert np.array_equal(got, wanted)
    histories = []
    for source in (expected, data.ParquetSource(path, schema=schema)):
        trainer = cr.Trainer(nn.MLP([schema.width, 4, 2], seed=0), nn.CrossEntropyLoss(), optim.Adam(lr=0.01))
        histories.append(trainer.fit(source, epochs=3, batch_size=16)["loss"])
    assert histories[0] == histories[1]
    (tmp_path / "none.parquet").write_text("no")
    with pytest.raises(OSError, match=r"none.parquet: cannot be read"):
        data.ParquetSource(tmp_path / "none.parquet")


def test_parquet_without_pyarrow(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        ImportError, match=r"needs pyarrow; install it with: pip install chainrule\[parquet\]"
    ):
        data.ParquetSource("t.parquet")
