"""What printers of several kinds share: the pieces that cells are made of, in kubectl's words. Pure."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kcpfront.printers.columns import AGE, NAME, Column, Object, Printer
from kcpshard.api.label_selectors import InvalidSelector, selector_text

NONE, UNSET = "<none>", "<unset>"
Cells = Callable[[Object, float], list[Any]]

CONTAINERS = (
    Column("Containers", description="Names of the containers.", priority=1),
    Column("Images", description="Images of the containers.", priority=1),
)
SELECTOR = Column("Selector", description="Which pods belong to it.", priority=1)


def printer(*columns: Column) -> Callable[[Cells], Printer]:
    return lambda cells: Printer(columns, cells)


def named(*columns: Column) -> Callable[[Cells], Printer]:
    """Between name and age."""
    return printer(NAME, *columns, AGE)


def spec_of(obj: Object) -> Object:
    found: Object = obj.get("spec") or {}
    return found


def status_of(obj: Object) -> Object:
    found: Object = obj.get("status") or {}
    return found


def containers_of(pod_spec: Any) -> list[Any]:
    """Names and images, each joined by commas."""
    containers = (pod_spec or {}).get("containers") or []
    return [",".join(c.get(member, "") for c in containers) for member in ("name", "image")]


def template_spec(obj: Object) -> Object:
    found: Object = (spec_of(obj).get("template") or {}).get("spec") or {}
    return found


def selector(given: Any) -> str:
    """A LabelSelector; of none and an empty one the word for none."""
    try:
        return selector_text(given) or NONE
    except InvalidSelector:
        return "<error>"


def labels(given: Mapping[str, str] | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((given or {}).items())) or NONE


def first_few(entries: Iterable[str], most: int, separator: str = ",") -> str:
    """At most so many, and how many more there are."""
    listed = list(entries)
    shown = separator.join(listed[:most])
    return f"{shown} + {len(listed) - most} more..." if len(listed) > most else shown


def has_condition(obj: Object, kind: str) -> bool:
    return any(c.get("type") == kind and c.get("status") == "True" for c in status_of(obj).get("conditions") or ())
