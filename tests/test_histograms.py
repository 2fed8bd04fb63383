"""Histograms of parameters and gradients: their numbers and their picture."""

from __future__ import annotations

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from small import small_data, small_model

X, y = small_data()


@pytest.fixture
def trainer():
    return cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.Adam(lr=0.01))


def test_numbers_are_numpys(trainer):
    for values in (trainer.model.state_dict(), trainer.gradients(X, y)):
        found = cr.histograms(values, bins=7)
        assert found.keys() == values.keys()
        for name, (counts, edges) in found.items():
            wanted, wanted_edges = np.histogram(np.asarray(values[name], np.float64), 7)
            assert np.array_equal(counts, wanted)
            assert np.array_equal(edges, wanted_edges)


def test_what_is_not_finite_is_not_counted():
    counts, _ = cr.histograms({"w": [np.inf, np.nan, 1.0, 2.0]}, bins=2)["w"]
    assert counts.tolist() == [1, 1]
    counts, edges = cr.histograms({"w": [np.nan]}, bins=2)["w"]
    assert counts.tolist() == [0, 0]
    assert np.isfinite(edges).all()
    with pytest.raises(ValueError, match=r"histograms: bins must be a whole number: 2\.5"):
        cr.histograms({"w": [1.0]}, bins=2.5)
    with pytest.raises(ValueError, match="histograms: bins must be at least 1: 0"):
        cr.histograms({"w": [1.0]}, bins=0)


@pytest.mark.parametrize(
    "values",
    [
        np.array([1, np.nextafter(np.float32(1), np.float32(2))], "f4"),
        np.array([1.0, 1.0 + 3e-16]),
        np.full(5, 1e20, "f4"),
        np.array([-3e38, 3e38], "f4"),
        np.zeros(3),
        np.array([-1.7e308, 0.0, 1e-300, 1.7e308]),
        np.array([1e301, 1.7e308]),
        np.full(2, np.finfo("f8").max),
        np.full(2, -np.finfo("f8").max),
        np.array([5e-324, 1e-323]),
    ],
)
def test_ranges_that_leave_no_room_or_overflow(values):
    counts, edges = cr.histograms({"w": values}, bins=50)["w"]
    assert counts.sum() == values.size
    assert (np.diff(edges) > 0).all()
    assert edges[0] <= values.min()
    assert values.max() <= edges[-1]


def test_numbers_near_the_largest_are_counted_as_others_are():
    values = np.array([-1.7, -0.3, 0.2, 0.25, 1.1])
    counts, edges = cr.histograms({"w": values * 2.0**1023}, bins=7)["w"]
    wanted, wanted_edges = np.histogram(values, 7)
    assert np.array_equal(counts, wanted)
    assert np.array_equal(edges / 2.0**1023, wanted_edges)


def test_the_picture(trainer, tmp_path):
    pytest.importorskip("matplotlib")
    before = [p.numpy().copy() for p in trainer.model.parameters()]
    cr.plot_histograms(trainer, tmp_path / "values.png")
    cr.plot_histograms(trainer, tmp_path / "both.png", X, y, bins=20)
    assert all(np.array_equal(a, p.numpy()) for a, p in zip(before, trainer.model.parameters(), strict=True))
    sizes = {}
    for path in tmp_path.iterdir():
        data = path.read_bytes()
        assert data.startswith(b"\x89PNG")
        sizes[path.name] = int.from_bytes(data[16:20], "big")
    assert sizes["both.png"] > 1.5 * sizes["values.png"]  # a second column


def test_odd_parameters_have_their_place(trainer, tmp_path):
    pytest.importorskip("matplotlib")
    parameters = list(trainer.model.parameters())
    parameters[0].requires_grad_(False)  # no gradient
    parameters[1].copy_(np.full(parameters[1].shape, np.nan, np.float32))
    cr.plot_histograms(trainer, tmp_path / "odd.png")
    parameters[1].copy_(np.zeros(parameters[1].shape, np.float32))
    cr.plot_histograms(trainer, tmp_path / "frozen.png", X, y)


def test_refusals(trainer, tmp_path):
    with pytest.raises(ValueError, match="plot_histograms: X and y belong together; give both or none"):
        cr.plot_histograms(trainer, tmp_path / "a.png", X)
    assert not list(tmp_path.iterdir())
