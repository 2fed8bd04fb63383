"""Sources that fail or are refused: bad rows are named, and errors reach the caller."""

import chainrule as cr
import numpy as np
import pytest
from chainrule import data, nn, optim
from source_runs import KINDS, Own, generator, new_trainer, parameters, problem


def test_bad_rows_are_named_as_the_source_counts_them():
    X, y = problem()
    X[150, 2] = np.nan
    trainer = new_trainer()
    before = parameters(trainer)
    for source in (data.ArraySource(X, y, window_rows=48), generator(X, y, window_rows=48)):
        with pytest.raises(
            ValueError, match="X has nan in row 150, column 2; clean it first: nothing was trained"
        ):
            trainer.fit(source, epochs=2, batch_size=16)
        assert parameters(trainer) == before
    X, y = problem()
    y[170] = 7
    with pytest.raises(IndexError, match="label"):
        trainer.fit(data.ArraySource(X, y, window_rows=48), epochs=2, batch_size=16)
    assert parameters(trainer) == before


class Fails(Own):
    def read(self, first, count):
        if first >= 96:
            raise OSError("the disk is gone")
        return super().read(first, count)


def test_errors_of_sources_reach_the_caller():
    X, y = problem()
    trainer = new_trainer()
    with pytest.raises(OSError, match="the disk is gone"):
        trainer.fit(Fails(X, y, window_rows=48), epochs=2, batch_size=16, shuffle=False)
    assert trainer.global_step == 6  # what was read before was trained on
    trainer.fit(X, y)  # and it can go on

    def stops():
        yield X[:100], y[:100]
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        trainer.fit(data.GeneratorSource(stops))

    passes = []

    def shorter():
        passes.append(1)
        n = 200 if len(passes) == 1 else 120
        yield X[:n], y[:n]

    with pytest.raises(
        ValueError, match="a pass ended early: after 120 of 200 rows; every pass must give the same rows"
    ):
        trainer.fit(data.GeneratorSource(shorter, window_rows=64))


def test_fits_may_end_while_windows_are_read():
    X, y = problem()

    class Raises:
        every = 1

        def on_batch_end(self, fit):
            raise KeyError("enough")

    for kind in ("own", "generator"):
        for callback in (Raises(), lambda fit: fit.stop("enough")):
            trainer = new_trainer()
            source = KINDS[kind](None, X, y, window_rows=32)
            if isinstance(callback, Raises):
                with pytest.raises(KeyError, match="enough"):
                    trainer.fit(source, epochs=5, batch_size=16, callbacks=[callback])
            else:
                assert trainer.fit(source, epochs=5, batch_size=16, callbacks=[callback]).epochs == 1


def refusals(folder):
    X, y = problem()
    source = data.ArraySource(X, y, window_rows=48)
    fit = lambda *a, **k: new_trainer().fit(*a, **k)  # noqa: E731
    yield (
        lambda: fit(X),
        ValueError,
        r"fit: y is missing; give one target per sample, or a source of chainrule.data",
    )
    yield lambda: fit(source, y), ValueError, "y was given beside a source, which gives the targets itself"
    yield lambda: new_trainer().evaluate(X), ValueError, "evaluate: y is missing"
    yield (
        lambda: fit(source, validation_split=0.2),
        ValueError,
        "validation_split goes with tensors, not with a source",
    )
    yield lambda: fit(source, sample_weight=np.ones(200)), ValueError, "sample_weight goes with tensors"
    yield lambda: fit(source, sampler=data.StratifiedSampler(y)), ValueError, "sampler goes with tensors"
    yield (
        lambda: fit(data.ArraySource(X)),
        cr.StateError,
        r"the source gives no targets: ArraySource\(200 rows\)",
    )
    yield (
        lambda: new_trainer().evaluate(data.ArraySource(X)),
        cr.StateError,
        "evaluate: the source gives no targets",
    )
    yield (
        lambda: fit(X, y, validation_data=data.ArraySource(X)),
        cr.StateError,
        "validation_data has no targets",
    )
    yield lambda: data.ArraySource(X, y[:-1]), cr.ShapeError, "numbers of samples differ"
    yield lambda: data.ArraySource(X, y, window_rows=0), ValueError, "window_rows must be at least 1: 0"
    yield (
        lambda: data.GeneratorSource(iter([])),
        ValueError,
        "list_iterator objects are used up after one pass; give the",
    )
    yield lambda: data.GeneratorSource(3), cr.DTypeError, "expected a function that makes a generator"
    yield lambda: data.GeneratorSource(lambda: []).rows, ValueError, "a pass gave no rows"
    yield (
        lambda: data.GeneratorSource(lambda: [(X,)]).rows,
        ValueError,
        "must give X, .X, y. or .X, y, weight., got a tuple",
    )
    yield (
        lambda: data.GeneratorSource([(X, y), (X.astype(np.float64), y)]).read(0, 300),
        ValueError,
        "two pieces differ in more than the number of rows",
    )
    yield lambda: source.read(190, 20), IndexError, r"rows are out of range: 190 ... 209 of 200"
    short = Own(X, y, window_rows=48)
    short.read = lambda first, count: (X[:10], y[:10])
    yield lambda: fit(short), cr.ShapeError, "another number of rows than it was asked for: 10 for 32 of Own"
    wide = Own(X, y, window_rows=32)
    wide.read = lambda first, count: (X[:count].astype(np.float64 if first else np.float32), y[:count])
    yield (
        lambda: fit(wide, shuffle=False),
        ValueError,
        r"rows of another kind than before: float64\(1, 6\), int64\(1,\) after float32\(1, 6\), int64\(1,\)",
    )
    scaled = cr.Trainer(
        nn.Sequential(nn.Standardizer(6), nn.MLP([6, 8, 2])), nn.CrossEntropyLoss(), optim.Adam(lr=0.01)
    )
    yield (
        lambda: scaled.fit(source),
        cr.StateError,
        r"a layer has to be fitted to the data, .* Standardizer.*; call its fit\(rows\) on a sample of the",
    )
    yield (
        lambda: data.NpySource(folder / "none.npy"),
        cr.FileError,
        "none.npy: cannot be opened: No such file",
    )
    np.save(folder / "f.npy", np.asfortranarray(np.ones((4, 3))))
    yield (
        lambda: data.NpySource(folder / "f.npy"),
        cr.FileError,
        "is in Fortran order, in which rows are not contiguous",
    )
    np.save(folder / "four.npy", np.ones((4, 3)))
    np.save(folder / "five.npy", np.ones(5))
    yield (
        lambda: data.NpySource(folder / "four.npy", folder / "five.npy"),
        cr.ShapeError,
        "five.npy: numbers of rows differ: 5 where .*four.npy has 4",
    )
    (folder / "cut.npy").write_bytes((folder / "four.npy").read_bytes()[:-8])
    yield lambda: data.NpySource(folder / "cut.npy"), cr.FileError, "cut short"


def test_refusals(tmp_path):
    for call, error, message in refusals(tmp_path):
        with pytest.raises(error, match=message):
            call()


def test_layers_fitted_before_are_fine():
    X, y = problem()
    scaler = nn.Standardizer(6)
    scaler.fit(X[:50])
    trainer = cr.Trainer(nn.Sequential(scaler, nn.MLP([6, 8, 2])), nn.CrossEntropyLoss(), optim.Adam(lr=0.01))
    assert trainer.fit(data.ArraySource(X, y, window_rows=48), epochs=2).epochs == 2
