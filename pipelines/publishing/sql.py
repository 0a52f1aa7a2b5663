"""Pieces of SQL that both commits need."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb

from pipelines.warehouse import quoted


def columns(con: duckdb.DuckDBPyConnection, table: str) -> str:
    """The columns of a table in its own order, as a SELECT's list, so that a frame's order does not matter."""
    schema, name = table.split(".")
    rows = con.execute(
        "SELECT column_name FROM duckdb_columns() WHERE schema_name = $schema AND table_name = $name"
        " AND database_name = current_database() ORDER BY column_index",
        {"schema": schema, "name": name},
    ).fetchall()
    return ", ".join(f'"{row[0]}"' for row in rows)


def parquet(files: Iterable[Path]) -> str:
    """Parquet files as one relation."""
    return f"read_parquet([{', '.join(quoted(file) for file in files)}])"


def one(con: duckdb.DuckDBPyConnection, query: str) -> Any:
    """The only value of a query."""
    return con.execute(query).fetchall()[0][0]
