"""What an SRE sees of an asset in Dagster: rows, schema, column lineage, tables and charts as Markdown."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl

from reports.text import escape_markdown

CHART_LIMIT = 100_000
"""Bytes of a chart within the metadata: it lives in Dagster's event log, so larger ones are only linked."""


def table(path: Path, lineage: Mapping[str, Sequence[tuple[str, str]]] | None = None) -> dict[str, dg.MetadataValue]:
    """Row count, schema and column lineage of a Parquet frame.

    Args:
        lineage: column -> the (table, column) pairs that it is made of, e.g. ("raw.samples", "value").
    """
    frame = pl.scan_parquet(path)
    schema = frame.collect_schema()
    told: dict[str, dg.MetadataValue] = {
        "dagster/row_count": dg.MetadataValue.int(frame.select(pl.len()).collect().item()),
        "dagster/column_schema": dg.MetadataValue.table_schema(
            dg.TableSchema([dg.TableColumn(name, str(dtype)) for name, dtype in schema.items()])
        ),
    }
    if lineage:
        deps = {
            column: [dg.TableColumnDep(dg.AssetKey(table.split(".")), source) for table, source in made_of]
            for column, made_of in lineage.items()
        }
        told["dagster/column_lineage"] = dg.MetadataValue.column_lineage(dg.TableColumnLineage(deps))
    return told


def relation(table: duckdb.DuckDBPyRelation) -> dict[str, dg.MetadataValue]:
    """Row count and schema of a table in the warehouse."""
    columns = [dg.TableColumn(name, str(kind)) for name, kind in zip(table.columns, table.types, strict=True)]
    return {
        "dagster/row_count": dg.MetadataValue.int(table.count("*").fetchall()[0][0]),
        "dagster/column_schema": dg.MetadataValue.table_schema(dg.TableSchema(columns)),
    }


def rows(frame: pl.DataFrame, at_most: int = 20) -> dg.MetadataValue:
    """The first rows as a Markdown table."""
    if frame.is_empty():
        return dg.MetadataValue.md("none")
    shown = frame.head(at_most)
    lines = ["| " + " | ".join(shown.columns) + " |", "|" + " --- |" * shown.width]
    for row in shown.iter_rows():
        lines.append("| " + " | ".join("" if cell is None else escape_markdown(_plain(cell)) for cell in row) + " |")
    if frame.height > at_most:
        lines.append(f"\n… and {frame.height - at_most} more")
    return dg.MetadataValue.md("\n".join(lines))


def chart(png: bytes, title: str) -> dg.MetadataValue:
    """A picture as Markdown that Dagster's page shows."""
    if len(png) > CHART_LIMIT:
        return dg.MetadataValue.text(f"{title}: {len(png)} bytes, too large to show here")
    return dg.MetadataValue.md(f"![{escape_markdown(title)}](data:image/png;base64,{base64.b64encode(png).decode()})")


def counts(values: Mapping[str, int]) -> dict[str, dg.MetadataValue]:
    return {name: dg.MetadataValue.int(number) for name, number in values.items()}


def tally(values: Mapping[str, int], what: str) -> dg.MetadataValue:
    """Counts by name, the most frequent first, as a Markdown table."""
    ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    return rows(pl.DataFrame(ordered, schema={what: pl.String, "n": pl.Int64}, orient="row"))


def _plain(cell: object) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
