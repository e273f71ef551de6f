"""Which objects of a custom type selectors mean: they are judged in the form in which they are served.

An envelope's header has the fields of the stored version, as the definition named them when the object was written. In
another version, or under a newer definition, they may say something else, and a webhook may change labels too. Such an
object is looked at as its reader would see it, as kube-apiserver does; all others by their header, as built-in ones.
"""

from collections.abc import Callable
from typing import Protocol

import orjson

from kcpshard.definitions.contract import Resource
from kcpshard.storage import envelope
from kcpshard.storage.contract import ScanItem
from kcpshard.verbs.list_options import Selection


class Chooser(Protocol):
    def __bool__(self) -> bool: ...
    def chosen(self, items: list[ScanItem]) -> list[ScanItem]: ...


def chooser(resource: Resource, selection: Selection, served: Callable[[bytes], bytes]) -> Chooser:
    """`served` makes the JSON in the version of `resource` of an envelope."""
    if resource.definition is None:
        return selection
    if selection.fields.has_fields() or (selection.labels and resource.definition.asks_webhook):
        return ServedSelection(resource, selection, served)
    return selection


class ServedSelection:
    """`chosen` raises NotConverted where a webhook has to be asked first."""

    def __init__(self, resource: Resource, selection: Selection, served: Callable[[bytes], bytes]) -> None:
        self._resource, self._selection, self._served = resource, selection, served

    def __bool__(self) -> bool:
        return True

    def chosen(self, items: list[ScanItem]) -> list[ScanItem]:
        wanted = self._resource.fingerprint
        if all(envelope.fingerprint(item.value) == wanted for item in items):
            return self._selection.chosen(items)
        return [item for item in items if self._matches(item)]

    def _matches(self, item: ScanItem) -> bool:
        labels, fields = self._selection
        if not fields.matches_place(item.namespace, item.name):
            return False
        if envelope.fingerprint(item.value) == self._resource.fingerprint:
            return bool(self._selection.chosen([item]))
        obj = orjson.loads(self._served(item.value))
        if labels and not labels.matches(obj["metadata"].get("labels") or {}):
            return False
        return not fields.has_fields() or fields.matches_fields(self._resource.strategy.selectable_fields(obj))
