"""People.parquet as those see it who analyse it: pandas, Polars and DuckDB."""

import time
from pathlib import Path
from typing import Any


def read_table(folder: Path) -> dict[str, Any]:
    """Count people and the median energy by each of the three.

    Args:
        folder: ``people.parquet``.
    """
    # Wanted by this figure alone, so no extra brings them.
    import duckdb  # pyright: ignore[reportMissingImports]
    import pandas  # pyright: ignore[reportMissingImports]
    import polars  # pyright: ignore[reportMissingImports]

    found: dict[str, Any] = {}
    start = time.perf_counter()
    query = f"select count(*), median(energy) from '{folder}/*.parquet' where person is not null"
    found["duckdb"] = duckdb.connect().execute(query).fetchone()
    found["duckdb_seconds"], start = round(time.perf_counter() - start, 2), time.perf_counter()
    table = polars.scan_parquet(folder / "*.parquet").filter(polars.col("person").is_not_null())
    found["polars"] = table.select(polars.len(), polars.col("energy").median()).collect().row(0)
    found["polars_seconds"], start = round(time.perf_counter() - start, 2), time.perf_counter()
    frame = pandas.read_parquet(folder, columns=["person", "energy"]).dropna(subset=["person"])
    found["pandas"] = (len(frame), float(frame["energy"].median()))
    found["pandas_seconds"] = round(time.perf_counter() - start, 2)
    return found
