"""How columns of any type become text, numbers and truths: SQL expressions. Times have a module of their own."""

from pipelines.sources.columns import NUMBERS, STAMPS


def is_number(column_type: str) -> bool:
    return column_type.startswith(NUMBERS)


def is_text(column_type: str) -> bool:
    return not column_type.startswith((*NUMBERS, *STAMPS, "BOOLEAN"))


def missing(column: str, column_type: str) -> str:
    """Is there nothing? Text of spaces is nothing."""
    return f"coalesce(trim({column}::VARCHAR), '') = ''" if is_text(column_type) else f"{column} IS NULL"


def text(column: str | None) -> str:
    """As it stands; NULL where it is empty."""
    return f"nullif({column}::VARCHAR, '')" if column else "NULL::VARCHAR"


def number(column: str, column_type: str) -> str:
    """A DOUBLE, NULL where it is none. Zero has no sign: -0 and 0 are one value."""
    cast = f"TRY_CAST(trim({column}::VARCHAR) AS DOUBLE)" if is_text(column_type) else f"{column}::DOUBLE"
    return f"({cast} + 0.0::DOUBLE)"
