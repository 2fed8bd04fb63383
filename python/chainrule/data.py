"""Mini-batches, splits, samplers, sources larger than memory, and readers for IDX and CSV files.

Everything returns NumPy arrays.
"""

from ._core import (
    ArraySource,
    Batches,
    CsvSource,
    GeneratorSource,
    NpySource,
    Sampler,
    Schema,
    Source,
    StratifiedSampler,
    Table,
    WeightedSampler,
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
from ._tables import FrameSource, ParquetSource, to_table

__all__ = [
    "ArraySource",
    "Batches",
    "CsvSource",
    "FrameSource",
    "GeneratorSource",
    "NpySource",
    "ParquetSource",
    "Sampler",
    "Schema",
    "Source",
    "StratifiedSampler",
    "Table",
    "WeightedSampler",
    "batches",
    "fit_schema",
    "k_fold",
    "parse_idx",
    "read_csv",
    "read_idx",
    "split_data",
    "split_rows",
    "time_series_folds",
    "to_table",
]
