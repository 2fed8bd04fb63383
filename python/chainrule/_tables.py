"""Data frames and Parquet files: as tables, and as sources of windows.

Not a public module: chainrule.data has its names. pandas, polars and pyarrow are imported by users only.
"""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from . import _core

_Columns = dict[str, Any]


def to_table(frame: Any) -> _core.Table:
    """A Table from a pandas, polars or pyarrow table, or a dict of columns.

    Numbers become float64 with NaN where they are missing, all else text: what read_csv would have read.
    Raises DTypeError for a column of lists, structs or arrays.

    >>> table = cr.data.to_table({"age": [31, 40], "job": ["baker", None]})
    >>> table["age"].tolist(), table["job"]
    ([31.0, 40.0], ['baker', ''])
    """
    return table_of(frame, "to_table", "leave the column out")


def table_of(frame: Any, who: str, advice: str) -> _core.Table:
    """to_table, with the words for its errors. advice: what to do about a column that holds no cells."""
    columns = _columns(frame, who).items()
    return _core.Table._from_columns([(name, _cells(who, name, values, advice)) for name, values in columns])


def _columns(frame: Any, who: str) -> _Columns:
    if isinstance(frame, dict):
        names, column = list(frame), frame.__getitem__
    elif hasattr(frame, "column_names"):  # pyarrow
        names, column = list(frame.column_names), frame.column
    elif hasattr(frame, "columns"):  # pandas, polars
        names, column = list(frame.columns), frame.__getitem__
    else:
        raise _core.DTypeError(
            f"{who}: expected a pandas, polars or pyarrow table or a dict of columns, got "
            + type(frame).__name__
        )
    _check_names(who, [str(name) for name in names])
    return {str(name): column(name) for name in names}


def _check_names(who: str, names: list[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise _core.ValueError(f'{who}: {count} columns are named "{name}"; rename all but one')


def _array(who: str, name: str, values: Any, advice: str) -> np.ndarray[Any, Any]:
    """A column as an array of cells; one of lists, structs or arrays is refused."""
    if hasattr(values, "to_numpy"):
        array = np.asarray(values.to_numpy())
    else:
        try:
            array = np.asarray(values)
        except ValueError:  # lists that differ in length
            array = np.fromiter(values, object, len(values))
    if array.dtype.kind != "O" and array.ndim < 2:
        return array
    cells = array if hasattr(values, "to_numpy") else values
    nested = sorted(kind.__name__ for kind in set(map(type, cells)) if array.ndim > 1 or _holds_more(kind))
    if nested:
        declared = getattr(values, "dtype", getattr(values, "type", None))  # pyarrow calls it type
        holds = " and ".join(nested) if declared is None or isinstance(declared, np.dtype) else declared
        raise _core.DTypeError(
            f'{who}: column "{name}" holds {holds}, which are no cells of a table; {advice}'
        )
    return array


def _holds_more(kind: type) -> bool:
    return issubclass(kind, Collection) and not issubclass(kind, str | bytes | bytearray)


def _rows(values: Any, first: int, count: int) -> Any:
    return getattr(values, "iloc", values)[first : first + count]  # pandas' own [] goes by labels


def _cells(who: str, name: str, values: Any, advice: str) -> np.ndarray[Any, Any] | list[str]:
    array = _array(who, name, values, advice)
    if array.dtype.kind in "iuf":
        return array.astype(np.float64)
    cells = array.tolist()
    if hasattr(values, "isna"):  # pandas has a value of its own for what is missing
        cells = [None if missing else c for c, missing in zip(cells, values.isna().tolist(), strict=True)]
    if array.dtype.kind == "O" and any(isinstance(c, int | float) for c in cells):
        numbers = [np.nan if c is None else c for c in cells]
        if all(isinstance(c, int | float) and not isinstance(c, bool) for c in numbers):
            return np.array(numbers, dtype=np.float64)
    return ["" if c is None or c != c else str(c) for c in cells]


class _ColumnSource(ABC):
    """What sources of named columns share: those of a window become X and y."""

    rows: int
    any_order = True

    def __init__(
        self,
        who: str,
        names: Iterable[str],
        target: str | int | None,
        features: Iterable[str | int] | None,
        schema: _core.Schema | None,
        window_rows: int | None,
    ) -> None:
        known = list(names)
        _check_names(who, known)
        if isinstance(features, str):
            raise _core.DTypeError(f'{who}: features must be a list of names; write features=["{features}"]')
        if window_rows is not None and window_rows < 1:
            raise _core.ValueError(f"{who}: window_rows must be at least 1: {window_rows}")
        if schema is not None and (target is not None or features is not None):
            raise _core.ValueError(f"{who}: a schema names the target and the features; leave them out")
        if schema is not None:
            target = schema.target if schema.target in known else None
            features = [name for name, _ in schema.columns]
        elif features is None:
            features = [name for name in known if name != str(target)]
        self._who, self._schema = who, schema
        self._target = None if target is None else str(target)  # frames may number their columns
        self._features = [str(name) for name in features]
        for name in self._used():
            if name not in known:
                raise _core.IndexError(f'{who}: there is no column "{name}"; there are {", ".join(known)}')
        if not self._features:
            raise _core.ValueError(f"{who}: there are no features; the columns are {', '.join(known)}")
        self.window_rows = window_rows

    def _used(self) -> list[str]:
        return [*self._features, *([] if self._target is None else [self._target])]

    @abstractmethod
    def _window(self, first: int, count: int) -> _Columns:
        """The columns that are used, of these rows."""

    def read(self, first: int, count: int) -> Any:
        """Rows first ... first + count - 1: X, or (X, y)."""
        if first < 0 or count < 1 or first + count > self.rows:
            raise _core.IndexError(
                f"{self._who}: rows are out of range: {first} ... {first + count - 1} of {self.rows}"
            )
        columns = self._window(first, count)
        if self._schema is not None:
            table = to_table(columns)
            X = self._schema.encode(table)
            return X if self._target is None else (X, self._schema.encode_target(table))
        X = np.stack(
            [self._numbers(name, columns[name]) for name in self._features], axis=1, dtype=np.float32
        )
        if self._target is None:
            return X
        y = self._numbers(self._target, columns[self._target])
        return X, y.astype(np.float32)[:, None] if y.dtype.kind == "f" else y.astype(np.int64)

    def _numbers(self, name: str, values: Any) -> np.ndarray[Any, Any]:
        array = _array(self._who, name, values, "leave the column out")
        if array.dtype.kind not in "iufb":
            raise _core.DTypeError(
                f'{self._who}: column "{name}" holds no numbers; give a schema: '
                "fit_schema(to_table(some rows), target)"
            )
        return array

    def __repr__(self) -> str:
        return f"{self._who}({self.rows} rows, {len(self._features)} features)"


class FrameSource(_ColumnSource):
    """A pandas, polars or pyarrow table in memory, converted window by window.

    Without a schema all features are numbers, which become float32; a target of floats becomes float32
    (n, 1), one of integers int64 labels. A schema (of fit_schema) encodes text as well.

    frame: the table. target: the name of a column; None: no targets. features: names of columns; None: all
    others. window_rows: rows converted at a time; None: as many as 64 MB hold.

    >>> source = cr.data.FrameSource({"a": [0.0, 1.0, 2.0], "b": [1.0, 0.0, 1.0], "y": [0, 1, 1]}, "y")
    >>> source.read(1, 2)[1].tolist()
    [1, 1]
    """

    def __init__(
        self,
        frame: Any,
        target: str | int | None = None,
        *,
        features: Iterable[str | int] | None = None,
        schema: _core.Schema | None = None,
        window_rows: int | None = None,
    ) -> None:
        self._columns = _columns(frame, "FrameSource")
        super().__init__("FrameSource", self._columns, target, features, schema, window_rows)
        lengths = {name: len(self._columns[name]) for name in self._used()}
        self.rows = lengths[self._features[0]]
        for name, length in lengths.items():
            if length != self.rows:
                raise _core.ShapeError(
                    f'FrameSource: columns differ in length: "{name}" has {length} rows, '
                    f'"{self._features[0]}" has {self.rows}'
                )

    def _window(self, first: int, count: int) -> _Columns:
        return {name: _rows(self._columns[name], first, count) for name in self._used()}


class ParquetSource(_ColumnSource):
    """A Parquet file, read by row groups with pyarrow (`pip install chainrule[parquet]`).

    Arguments are those of FrameSource. A row group is decompressed at once: windows are fastest where they
    are not much smaller.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        target: str | int | None = None,
        *,
        features: Iterable[str | int] | None = None,
        schema: _core.Schema | None = None,
        window_rows: int | None = None,
    ) -> None:
        try:
            import pyarrow.parquet
        except ImportError as error:
            raise ImportError(
                "ParquetSource needs pyarrow; install it with: pip install chainrule[parquet]"
            ) from error
        try:
            self._file = pyarrow.parquet.ParquetFile(os.fspath(path))
        except (OSError, pyarrow.lib.ArrowInvalid) as error:
            raise _core.FileError(f"ParquetSource: {os.fspath(path)}: cannot be read: {error}") from error
        super().__init__(
            "ParquetSource", self._file.schema_arrow.names, target, features, schema, window_rows
        )
        metadata = self._file.metadata
        sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).tolist()
        self.rows = self._starts[-1]
        self._group: tuple[int, Any] = (-1, None)
        self._lock = threading.Lock()  # a fit and an evaluation may read at once

    def _window(self, first: int, count: int) -> _Columns:
        import pyarrow

        parts = []
        with self._lock:
            for i, (start, end) in enumerate(zip(self._starts, self._starts[1:], strict=False)):
                low, high = max(first, start), min(first + count, end)
                if low < high:
                    parts.append(self._row_group(i).slice(low - start, high - low))
        return _columns(pyarrow.concat_tables(parts), "ParquetSource")

    def _row_group(self, i: int) -> Any:
        if self._group[0] != i:
            self._group = (i, self._file.read_row_group(i, columns=self._used()))
        return self._group[1]
