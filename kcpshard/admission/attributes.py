"""One write as admission sees it, and what admission has to say besides yes: warnings and audit annotations."""

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from kcpshard.api.requests import Request
from kcpshard.definitions.contract import Resource
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, ObjectStore, Put, Remove

if TYPE_CHECKING:
    from kcpshard.admission.registrations import Registry

_NONE: list[Put | Remove] = []  # never added to: a deletion writes nothing beside it
CREATE, UPDATE, DELETE, CONNECT = "CREATE", "UPDATE", "DELETE", "CONNECT"


class Attributes(NamedTuple):
    """One write, as policies see it. `object` is None for a deletion, `old` for a creation.

    Policies that change the object change this dict in place.
    """

    operation: str  # CREATE, UPDATE, DELETE, CONNECT
    store: ObjectStore
    cluster: LogicalCluster | None  # None: not born yet
    resource: Resource
    subresource: str
    namespace: str
    name: str
    object: dict[str, Any] | None
    old: dict[str, Any] | None
    identity: bytes
    dry_run: bool
    # What is written in the same commit, if it comes to that: policies may add to it on CREATE and UPDATE.
    companions: list[Put | Remove] = _NONE
    # For what the logical cluster has registered itself. None: there is nothing of the kind, as in tests of one policy.
    registry: "Registry | None" = None
    request: Request | None = None
    given: dict[str, Any] | None = None  # of an update: the metadata as the client sent it
    is_generated: bool = False  # `name` was made from generateName: who asked does not know it yet
    # Of what is written in another form than the resource's: its type, if a document describes it, and that it is.
    form: Resource | None = None
    is_other_form: bool = False

    def stored(self, group_resource: str, namespace: str, name: str) -> dict[str, Any] | None:
        """Another object of the logical cluster, as it is accepted; None: there is none."""
        if self.cluster is None:
            return None
        value = self.store.pending(self.cluster, group_resource, namespace, name)
        return None if value is None else orjson.loads(envelope.body(value))


class Notes(NamedTuple):
    """What the client is warned of, and what the audit record says of the decision."""

    warnings: tuple[str, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()

    def plus(self, warnings: list[str], annotations: dict[str, str]) -> "Notes":
        return Notes((*self.warnings, *warnings), (*self.annotations, *annotations.items()))


NOTHING = Notes()
