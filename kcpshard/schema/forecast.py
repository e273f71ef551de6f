"""What agreeing on one schema would cost: fields lost, objects become invalid, and who stands in the way. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kcpshard.schema.compatibility import Comparison, Difference, Raw, compare
from kcpshard.schema.defaulting import default
from kcpshard.schema.pruning import prune
from kcpshard.schema.structural import Structural
from kcpshard.schema.validation import explain


class Invalid(NamedTuple):
    """A stored object that would not survive: the fields it would lose, and what would be wrong with the rest."""

    name: str  # namespace/name, or the name alone
    lost: tuple[str, ...]
    faults: tuple[str, ...]


class Forecast(NamedTuple):
    """`schema` is what all that do not block agree on. By source: what it costs, and why it blocks."""

    schema: dict[str, Any]
    costs: dict[str, tuple[Difference, ...]]
    blocked_by: dict[str, tuple[Difference, ...]]
    invalid: tuple[Invalid, ...]

    @property
    def fields_lost(self) -> dict[str, list[str]]:
        """By field, the sources that do not have it."""
        found: dict[str, list[str]] = {}
        for source, differences in self.costs.items():
            for difference in differences:
                for name in difference.removed:
                    found.setdefault(f"{difference.path}[{name}]", []).append(source)
        return found


def agree(start: Raw, offered: Mapping[str, Raw], path: str) -> tuple[dict[str, Any], dict[str, Comparison]]:
    """Narrow `start` by each schema in turn of its name; one that conflicts is left out. With how each compared."""
    agreed = dict(start)
    compared = {}
    for source in sorted(offered):
        found = compared[source] = compare(agreed, offered[source], path)
        if found.lcd is not None:
            agreed = found.lcd
    return agreed, compared


def forecast(start: Raw, offered: Mapping[str, Raw], objects: Iterable[Mapping[str, Any]], path: str) -> Forecast:
    """`objects` are whole ones as stored; they are not changed."""
    agreed, compared = agree(start, offered, path)
    costs = {source: compare(start, schema, path).narrowings for source, schema in offered.items()}
    return Forecast(
        agreed,
        {source: found for source, found in costs.items() if found},
        {source: found.conflicts for source, found in compared.items() if found.conflicts},
        tuple(found for each in objects if (found := judge(each, agreed)) is not None),
    )


def judge(stored: Mapping[str, Any], schema: Raw) -> Invalid | None:
    """None: it stays as it is."""
    structural = Structural(schema)
    changed = _copied(dict(stored))
    lost = tuple(prune(changed, structural))
    default(changed, structural)
    faults = tuple(str(fault) for fault in explain(changed, structural))
    if not lost and not faults:
        return None
    metadata = stored.get("metadata") or {}
    namespace, name = metadata.get("namespace"), metadata.get("name") or ""
    return Invalid(f"{namespace}/{name}" if namespace else name, lost, faults)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value
