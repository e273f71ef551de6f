"""The webhooks of a configuration, and their matchConditions as programs, compiled when a write first meets them."""

from typing import Any

from kcpshard.cel.admission import IS_BOOL, Compiled, compiled, declarations

Object = dict[str, Any]


class Webhook:
    """One webhook. `uid` tells it from all others of the logical cluster, also between two calls for one write."""

    __slots__ = ("_conditions", "configuration", "name", "spec", "uid")

    def __init__(self, configuration: str, spec: Object, place: int) -> None:
        self.configuration, self.spec = configuration, spec
        self.name: str = spec["name"]
        self.uid = f"{configuration}/{self.name}/{place}"
        self._conditions: list[Compiled] | None = None

    @property
    def is_failing_closed(self) -> bool:
        return self.spec.get("failurePolicy") != "Ignore"

    @property
    def is_reinvocable(self) -> bool:
        return self.spec.get("reinvocationPolicy") == "IfNeeded"

    @property
    def conditions(self) -> list[Compiled]:
        if self._conditions is None:
            given = self.spec.get("matchConditions") or ()
            self._conditions = [compiled(c["expression"], declarations(False), IS_BOOL) for c in given]
        return self._conditions


def webhooks_of(obj: Object) -> list[Webhook]:
    name = obj["metadata"]["name"]
    return [Webhook(name, spec, place) for place, spec in enumerate(obj.get("webhooks") or ())]
