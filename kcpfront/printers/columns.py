"""Columns of a table and the cells of its rows: what a printer is made of, and those of unknown kinds.

A printer is a list of columns and a function from an object to its cells. Times are shown as ages at `now`.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

Object = dict[str, Any]


class Column(NamedTuple):
    name: str
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0


class Printer(NamedTuple):
    columns: Sequence[Column]
    cells: Callable[[Object, float], list[Any]]
    conditions: Callable[[Object], list[Object]] | None = None  # of the row: kubectl shows completed ones apart


NAME = Column("Name", format="name", description="Name of the object, unique among its kind in its namespace.")
AGE = Column("Age", description="Time since the object was created.")
CREATED_AT = Column("Created At", "date", description="When the object was created.")


def name_of(obj: Object) -> str:
    name: str = obj.get("metadata", {}).get("name", "")
    return name


def age_of(obj: Object, now: float) -> str:
    return age(obj.get("metadata", {}).get("creationTimestamp"), now)


def age(timestamp: str | None, now: float) -> str:
    """The time since an RFC 3339 timestamp as kubectl users read it."""
    if not timestamp:
        return "<unknown>"
    try:
        then = datetime.fromisoformat(timestamp).timestamp()
    except ValueError:
        return "<invalid>"
    return human_duration(now - then)


def human_duration(seconds: float) -> str:
    """apimachinery's HumanDuration: two units at most, fewer as it grows. A clock 2 s behind is forgiven."""
    whole = int(seconds)
    if whole < 0:
        return "<invalid>" if whole < -1 else "0s"
    if whole < 120:
        return f"{whole}s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    if days < 2920:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(first: int, first_unit: str, second: int, second_unit: str) -> str:
    return f"{first}{first_unit}{second}{second_unit}" if second else f"{first}{first_unit}"


def _default_cells(obj: Object, now: float) -> list[Any]:
    metadata = obj.get("metadata", {})
    return [metadata.get("name", ""), metadata.get("creationTimestamp")]


DEFAULT = Printer((NAME, CREATED_AT), _default_cells)
