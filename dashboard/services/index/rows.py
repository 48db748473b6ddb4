"""Many rows written at once: what `bulk_create` and `bulk_update` do, without compiling each value.

The first index of a registry writes tens of rows for each image; made by the ORM they cost more than all reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, models


def insert(model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Inserts `rows`, values in the order of `columns` (attribute names); one that breaks a constraint is left out.

    Within the caller's transaction. Values are what the database takes, but for times, which are adapted. Defaults of
    the model do not apply: every column without one in the database must be among `columns`.
    """
    quote = connection.ops.quote_name
    fields = {field.attname: field for field in model._meta.concrete_fields}
    named = [quote(str(fields[column].column)) for column in columns]
    times = [i for i, column in enumerate(columns) if isinstance(fields[column], models.DateTimeField)]
    values = [tuple(row) for row in rows] if not times else [_adapted(row, times) for row in rows]
    if not values:
        return
    statement = (
        f"INSERT INTO {quote(model._meta.db_table)} ({', '.join(named)}) "  # noqa: S608 (names of our own models)
        f"VALUES ({', '.join(['%s'] * len(named))}) ON CONFLICT DO NOTHING"
    )
    with connection.cursor() as cursor:
        cursor.executemany(statement, values)


def insert_objects(model: type[models.Model], objects: Iterable[models.Model]) -> None:
    """Inserts new rows made as objects; they do not learn their ids."""
    columns = [field.attname for field in model._meta.concrete_fields if not field.primary_key]
    insert(model, columns, ([getattr(one, column) for column in columns] for one in objects))


def update_objects(model: type[models.Model], objects: Iterable[models.Model], columns: Sequence[str]) -> None:
    """Writes these columns (attribute names) of objects that have rows, within the caller's transaction."""
    quote = connection.ops.quote_name
    fields = {field.attname: field for field in model._meta.concrete_fields}
    times = [i for i, column in enumerate(columns) if isinstance(fields[column], models.DateTimeField)]
    values = [_adapted([*(getattr(one, column) for column in columns), one.pk], times) for one in objects]
    if not values:
        return
    assigned = ", ".join(f"{quote(str(fields[column].column))} = %s" for column in columns)
    key = quote(str(model._meta.pk.column))
    statement = f"UPDATE {quote(model._meta.db_table)} SET {assigned} WHERE {key} = %s"  # noqa: S608 (as above)
    with connection.cursor() as cursor:
        cursor.executemany(statement, values)


def _adapted(row: Sequence[Any], times: Sequence[int]) -> tuple[Any, ...]:
    values = list(row)
    for i in times:
        values[i] = connection.ops.adapt_datetimefield_value(values[i])
    return tuple(values)
