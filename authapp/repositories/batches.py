"""Deleting many rows a few at a time."""

from typing import Any

from sqlalchemy import ColumnElement, Delete, delete, func, select
from sqlalchemy.orm import InstrumentedAttribute


def delete_batch(
    key: InstrumentedAttribute[Any], is_over: ColumnElement[bool], batch_size: int
) -> Delete:
    """Deletes up to `batch_size` rows, and passes over those that somebody else is at."""
    batch = select(key).where(is_over).limit(batch_size).with_for_update(skip_locked=True)
    return delete(key.class_).where(key == func.any(func.array(batch.scalar_subquery())))
