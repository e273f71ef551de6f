"""What clients saw: the recorded history that the checks judge. Times are seconds of one monotonic clock."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Outcome = Literal["ok", "refused", "unknown"]


@dataclass(slots=True)
class Operation:
    """One request of a client. `value` is unique to a write. `revision` is what the answer carried, 0 if none."""

    client: int
    verb: Literal["create", "update", "patch", "delete", "get", "list"]
    cluster: str
    name: str
    called: float
    returned: float
    outcome: Outcome
    code: int = 0
    value: str = ""  # written; of a get: read, "" if the object was not there
    revision: int = 0
    items: dict[str, tuple[int, str]] = field(default_factory=dict)  # of a list: name → (revision, value)


@dataclass(slots=True)
class Seen:
    """One thing a watch delivered. `origin` is the logical cluster that the object itself says it was written to."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    revision: int
    name: str = ""
    value: str = ""
    origin: str = ""


@dataclass(slots=True)
class Watch:
    """One client's watch of one logical cluster over all its reconnections; began after `start`."""

    client: int
    cluster: str
    start: int
    events: list[Seen] = field(default_factory=list)
    relists: int = 0  # times it was told 410 and had to begin anew
    reconnects: int = 0


@dataclass(slots=True)
class Birth:
    """The only write to a logical cluster of its own, and what was found there in the end."""

    cluster: str
    outcome: Outcome
    value: str
    revision: int = 0
    found: tuple[int, str] | None = None  # revision and value of the object
    namespaces: list[str] = field(default_factory=list)


@dataclass(slots=True)
class History:
    operations: list[Operation] = field(default_factory=list)
    births: list[Birth] = field(default_factory=list)
    watches: list[Watch] = field(default_factory=list)
    final: dict[str, dict[str, tuple[int, str]]] = field(default_factory=dict)  # cluster → name → (revision, value)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> "History":
        raw: dict[str, Any] = json.loads(path.read_text())
        return cls(
            [Operation(**o) for o in raw["operations"]],
            [Birth(**b) for b in raw.get("births", ())],
            [Watch(**{**w, "events": [Seen(**e) for e in w["events"]]}) for w in raw["watches"]],
            raw["final"],
        )

    def clusters(self) -> Iterable[str]:
        return sorted({o.cluster for o in self.operations} | set(self.final))
