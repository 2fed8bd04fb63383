"""Reading what a user trains on: digits, tables, IDX, NPY and NPZ, as arrays and what is known of them."""

from __future__ import annotations

import gzip
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .. import _core, datasets
from .._search import advice
from .._tables import table_of
from .errors import UserError

_TABLES = (".csv", ".tsv", ".txt", ".parquet")


@dataclass
class Samples:
    """Features (n, width) with their target, ready for a network."""

    X: np.ndarray[Any, Any]
    y: np.ndarray[Any, Any]

    def take(self, rows: np.ndarray[Any, Any]) -> Samples:
        return Samples(self.X[rows], self.y[rows])


@dataclass
class Source:
    """Training, validation and test samples, and what a model file tells about them."""

    name: str
    task: str
    train: Samples
    validation: Samples | None = None
    test: Samples | None = None
    classes: list[str] = field(default_factory=list)
    schema: _core.Schema | None = None
    notes: list[str] = field(default_factory=list)
    sample_shape: list[int] = field(default_factory=list)
    divided_by: float = 1.0
    target_scale: float = 1.0
    groups: np.ndarray[Any, Any] | None = None


def existing(path: Path) -> Path:
    """The path, if there is a file."""
    if not path.is_file():
        raise UserError(f"{path}: no such file" if not path.exists() else f"{path}: is not a file")
    return path


def kind_of(path: Path) -> str:
    """ "table", "npz", "npy" or "idx", by name and, where that does not tell, by the first bytes."""
    existing(path)
    name = path.name.lower()
    for suffix, kind in ((".npz", "npz"), (".npy", "npy"), *((suffix, "table") for suffix in _TABLES)):
        if name.endswith(suffix):
            return kind
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] == b"\x1f\x8b":
        try:
            with gzip.open(path, "rb") as unpacked:
                start = unpacked.read(4)
        except (OSError, EOFError) as error:
            raise UserError(f"{path}: damaged gzip file: {error}") from None
    if start[:2] == b"\0\0" or "idx" in name:
        return "idx"
    raise UserError(
        f"{path}: unknown kind of file; CSV (.csv), .parquet, IDX (MNIST's format), .npy and .npz are read"
    )


def load_array(path: Path) -> np.ndarray[Any, Any]:
    """The array in an IDX or NPY file."""
    if kind_of(path) == "idx":
        return _core.read_idx(path)
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UserError(f"{path}: not a readable NPY file: {error}") from None
    return np.asarray(array)


def _load_npz(path: Path, names: Sequence[str]) -> list[np.ndarray[Any, Any]]:
    import zipfile

    try:
        with np.load(path, allow_pickle=False) as arrays:
            missing = [name for name in names if name not in arrays]
            if missing:
                held = ", ".join(arrays.files) or "nothing"
                raise UserError(
                    f"{path}: there is no array {missing[0]!r} in it, only {held}; "
                    "save it with np.savez(path, X=X, y=y)"
                )
            return [arrays[name] for name in names]
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not a readable NPZ file: {error}") from None


def features(
    path: Path, array: np.ndarray[Any, Any], divisor: float | None = None
) -> tuple[np.ndarray[Any, Any], float]:
    """Samples as float32 rows, and what uint8 values are divided by: 255, or what was used in training."""
    if array.ndim < 2:
        raise UserError(
            f"{path}: samples must be rows of a matrix or images, the array has shape {array.shape}"
        )
    if array.dtype.kind not in "fiub":
        raise UserError(f"{path}: samples must be numbers, the array holds {array.dtype}")
    if divisor is None:
        divisor = 255.0 if array.dtype == np.uint8 else 1.0
    rows = array.reshape(len(array), -1).astype(np.float32)
    bad = np.argwhere(~np.isfinite(rows))
    if len(bad):
        raise UserError(f"{path}: sample {bad[0][0]} has a value that is not finite (feature {bad[0][1]})")
    if array.dtype == np.uint8:
        rows /= np.float32(divisor)
    elif divisor != 1.0 and len(rows) and not 0 <= rows.min() <= rows.max() <= 1:
        raise UserError(
            f"{path}: the samples are {array.dtype} from {rows.min():g} to {rows.max():g}; "
            "the other data was uint8, "
            f"divided by {divisor:g}: store these as uint8, too, or divide them first"
        )
    return rows, divisor


def _raw_arrays(paths: Sequence[Path]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    if len(paths) == 1 and kind_of(paths[0]) == "npz":
        X, y = _load_npz(paths[0], ("X", "y"))
    elif len(paths) == 2:
        X, y = load_array(paths[0]), load_array(paths[1])
        if X.ndim < 2 <= y.ndim and len(X) == len(y):
            X, y = y, X  # labels came first
    elif len(paths) == 1:
        raise UserError(f"{paths[0]}: a second file with the labels is needed")
    else:
        raise UserError(f"{len(paths)} files were given; expected one table, one .npz, or samples and labels")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if len(X) != len(y):
        raise UserError(f"{len(X)} samples in {paths[0]}, but {len(y)} labels in {paths[-1]}")
    if len(X) == 0:
        raise UserError(f"{paths[0]}: there are no samples in it")
    return X, y


def load_samples(path: Path, divisor: float) -> np.ndarray[Any, Any]:
    """The features in an IDX, NPY or NPZ file, for predictions."""
    array = _load_npz(path, ("X",))[0] if kind_of(path) == "npz" else load_array(path)
    return features(path, array, divisor)[0]


def _split(samples: Samples, share: float, seed: int, stratified: bool) -> tuple[Samples, Samples | None]:
    train, held_out = _rows(len(samples.y), share, seed, samples.y if stratified else None)
    return samples.take(train), samples.take(held_out) if len(held_out) else None


def _rows(
    n: int,
    share: float,
    seed: int,
    labels: np.ndarray[Any, Any] | None,
    groups: np.ndarray[Any, Any] | None = None,
) -> tuple[Any, Any]:
    rows = np.arange(n)
    if share == 0:
        return rows, rows[:0]
    if groups is not None:
        train, held_out = _core.split_data(rows, rows, test=share, stratify=None, groups=groups, seed=seed)
        return train[0], held_out[0]
    return _core.split_rows(n, share, seed=seed, stratify=labels)


def load_digits(share: float | None, seed: int) -> Source:
    """The bundled digits. Without --validation their own test part is what is held out."""
    train = Samples(*datasets.load_digits(split="train"))
    test = Samples(*datasets.load_digits(split="test"))
    source = Source(
        "digits", "classification", train, classes=[str(i) for i in range(10)], sample_shape=[8, 8]
    )
    source.notes.append("bundled digits: 1437 images to train on, 360 held out")
    source.divided_by = 16.0
    if share is None:
        source.validation = test
    else:
        source.train, source.validation = _split(train, share, seed, True)
        source.test = test
    return source


def load_arrays(paths: Sequence[Path], test: Sequence[Path], task: str, share: float, seed: int) -> Source:
    """Samples and labels from IDX, NPY or NPZ files."""
    raw, y = _raw_arrays(paths)
    X, divisor = features(paths[0], raw)
    if task == "auto":
        task = (
            "regression" if y.dtype.kind == "f" and not np.array_equal(y, np.round(y)) else "classification"
        )
    source = Source(
        _stem(paths[0]), task, Samples(X, y), sample_shape=list(raw.shape[1:]), divided_by=divisor
    )
    if task == "classification":
        labels = np.unique(y)
        if len(labels) < 2:
            raise UserError(f"{paths[-1]}: all labels are {labels[0]}; there is nothing to learn")
        source.classes = [str(label) for label in labels.tolist()]
    else:
        labels = None
    target = _target(y, labels, paths[-1])
    source.train, source.validation = _split(Samples(X, target), share, seed, labels is not None)
    if test:
        test_raw, test_y = _raw_arrays(test)
        test_X, _ = features(test[0], test_raw, divisor)
        if test_X.shape[1] != X.shape[1]:
            raise UserError(
                f"{test[0]}: {test_X.shape[1]} features per sample, but {X.shape[1]} in {paths[0]}"
            )
        source.test = Samples(test_X, _target(test_y, labels, test[-1]))
    return source


def _target(y: np.ndarray[Any, Any], labels: np.ndarray[Any, Any] | None, path: Path) -> np.ndarray[Any, Any]:
    if y.ndim != 1:
        raise UserError(f"{path}: expected one label per sample, the array has shape {y.shape}")
    if labels is None:
        if y.dtype.kind not in "fiub" or not np.isfinite(y.astype(np.float64)).all():
            raise UserError(f"{path}: the target of a regression must be finite numbers")
        return y.astype(np.float32).reshape(-1, 1)
    unknown = np.setdiff1d(y, labels)
    if len(unknown):
        raise UserError(f"{path}: label {unknown[0]} does not occur in the training data")
    return np.searchsorted(labels, y).astype(np.int64)


def read_table(path: Path, options: Any, needed: Collection[str] | None = None) -> _core.Table:
    """A Parquet file, or a CSV file, read as the options say. needed: columns; None: all but the ignored."""
    if existing(path).name.lower().endswith(".parquet"):
        return _read_parquet(path, options, needed)
    return _core.read_csv(
        path,
        delimiter=options.delimiter or "",
        decimal=options.decimal,
        header=not options.no_header,
        missing=None if options.na is None else ["", *options.na],
        text=options.text,
    )


def _read_parquet(path: Path, options: Any, needed: Collection[str] | None) -> _core.Table:
    of_csv = {"delimiter": None, "decimal": ".", "no_header": False, "na": None}
    for name, default in of_csv.items():
        if getattr(options, name) != default:
            raise UserError(f"{path}: --{name.replace('_', '-')} is for CSV files; leave it away")
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise UserError(
            f"{path}: reading it needs pyarrow; install it with: pip install chainrule[parquet]"
        ) from error
    try:
        frame = pyarrow.parquet.ParquetFile(path).read()
    except (OSError, pyarrow.lib.ArrowException) as error:
        raise UserError(f"{path}: not a readable Parquet file: {error}") from None
    for name in options.text:
        if name not in frame.column_names:
            columns = ", ".join(frame.column_names)
            raise UserError(f"{path}: there is no column {name!r}: the columns are {columns}")
        words = [None if cell is None else str(cell) for cell in frame[name].to_pylist()]
        frame = frame.set_column(frame.column_names.index(name), name, pyarrow.array(words, pyarrow.string()))
    if needed is None:
        unused, advice = set(options.ignore) - {options.groups}, "leave it away with --ignore"
    else:
        unused, advice = set(frame.column_names) - set(needed), "the model needs numbers or text there"
    for i, name in enumerate(frame.column_names):
        if name in unused:  # it may hold what is no cells
            empty = pyarrow.nulls(len(frame), pyarrow.string())
            frame = frame.set_column(i, name, empty)
    return table_of(frame, str(path), advice)


def load_table(path: Path, test: Sequence[Path], options: Any, share: float) -> Source:
    """A table with a schema learned from its training rows."""
    table = read_table(path, options)
    if not options.target:
        raise UserError(f"{path}: name the column to predict with --target: {', '.join(table.columns)}")
    ignore = list(options.ignore)
    if options.target in ignore:
        raise UserError(f"--ignore: {options.target!r} is the column to predict")
    if options.groups is not None:
        if options.groups not in table.columns or options.groups == options.target:
            raise UserError(f"--groups: {_no_group(options, table.columns)}")
        ignore.append(options.groups)

    def complete(part: _core.Table) -> _core.Table:
        used = (
            [name for name in part.columns if name not in ignore]
            if options.missing == "drop"
            else [options.target]
        )
        return part.take(part.complete_rows(used)) if options.missing != "error" else part

    rows_before = len(table)
    table = complete(table)
    fit = {"missing": options.missing, "task": options.task, "ignore": ignore}
    overview = _core.fit_schema(table, options.target, **fit)  # which task, and the labels to stratify by
    labels = overview.encode_target(table) if overview.task == "classification" else None
    groups = None if options.groups is None else np.unique(table[options.groups], return_inverse=True)[1]
    train_rows, held_out = _rows(len(table), share, options.seed, labels, groups)
    schema = _core.fit_schema(table, options.target, train_rows, **fit)
    samples = Samples(schema.encode(table), schema.encode_target(table))

    source = Source(
        _stem(path), schema.task, samples.take(train_rows), classes=list(schema.classes), schema=schema
    )
    source.validation = samples.take(held_out) if len(held_out) else None
    source.groups = None if groups is None else groups[train_rows]
    source.target_scale = schema.target_scale
    if len(table) < rows_before:
        source.notes.append(
            f"{rows_before - len(table)} of {rows_before} rows with missing values were dropped"
        )
    filled = len(table) - len(table.complete_rows([name for name in table.columns if name not in ignore]))
    if filled:
        source.notes.append(
            f"{filled} of {len(table)} rows have missing cells, filled with the column's mean "
            "or most frequent word (--missing drop leaves such rows out)"
        )
    if test:
        if len(test) != 1:
            raise UserError("--test: expected one table, like the training data")
        test_table = complete(read_table(test[0], options))
        source.test = Samples(schema.encode(test_table), schema.encode_target(test_table))
    return source


def _no_group(options: Any, columns: Sequence[str]) -> str:
    if options.groups == options.target:
        return f"{options.groups!r} is the column to predict"
    return f"there is no column {options.groups!r}; {advice(options.groups, columns)}"


def _stem(path: Path) -> str:
    name = path.name
    for suffix in (".gz", *_TABLES, ".npz", ".npy"):
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
    return name


def source_name(options: Any) -> str:
    """What the model is named after."""
    return _stem(Path(options.files[0])) if options.files else "digits"


def load_source(options: Any) -> Source:
    """What the command line names."""
    paths, test = [Path(name) for name in options.files], [Path(name) for name in options.test or ()]
    if not paths:
        if test or options.target or options.groups:
            raise UserError(
                "--test, --target and --groups need data files; without any, the bundled digits are used"
            )
        return load_digits(options.validation, options.seed)
    share = 0.2 if options.validation is None else options.validation
    if kind_of(paths[0]) == "table":
        if len(paths) > 1:
            raise UserError(
                f"one table was expected, {len(paths)} files were given; name a test table with --test"
            )
        return load_table(paths[0], test, options, share)
    if options.target:
        raise UserError("--target is for tables; here the labels are a file or array of their own")
    if options.groups:
        raise UserError("--groups is for tables, whose column it names")
    return load_arrays(paths, test, options.task, share, options.seed)
