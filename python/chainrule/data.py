"""Mini-batches, splits, and readers for IDX and CSV files. Everything returns NumPy arrays."""

from ._core import (
    Batches,
    Schema,
    Table,
    batches,
    fit_schema,
    k_fold,
    parse_idx,
    read_csv,
    read_idx,
    split_data,
    split_rows,
    time_series_folds,
)

__all__ = [
    "Batches",
    "Schema",
    "Table",
    "batches",
    "fit_schema",
    "k_fold",
    "parse_idx",
    "read_csv",
    "read_idx",
    "split_data",
    "split_rows",
    "time_series_folds",
]
