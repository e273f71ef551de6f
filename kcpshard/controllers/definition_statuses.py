"""What a definition's status becomes, worked out in a worker process: of a large one decoding, digesting and encoding
take tens of milliseconds. Pure; whoever asks compares what it was told of with what is there when the answer comes.
"""

import pickle
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import orjson

from kcpshard.definitions.catalog import Catalog
from kcpshard.definitions.contract import Object, Resource
from kcpshard.definitions.crd_documents import GROUP, Names
from kcpshard.definitions.crd_naming import Claims, Taken, decided
from kcpshard.storage import envelope
from kcpshard.storage.contract import Put
from kcpshard.verbs.writes import put_of

JOB = "kcpshard.controllers.definition_statuses:settle_job"


class Asked(NamedTuple):
    value: bytes  # as it is stored
    builtin: Sequence[Names]  # of its group
    claims: Claims | None
    own: Names | None
    now: str


class Settled(NamedTuple):
    """`put` None: it is as it should be."""

    is_deleting: bool
    put: Put | None = None


def settle_job(payload: bytes, _ask: object = None) -> bytes:
    """A pickled Asked → a pickled Settled."""
    value, builtin, claims, own, now = pickle.loads(payload)  # noqa: S301 - made by our own process
    obj: Object = orjson.loads(envelope.body(value))
    if obj["metadata"].get("deletionTimestamp"):
        return pickle.dumps(Settled(True), 5)
    status = decided(obj, Taken(builtin, claims, own), now)
    if status == obj.get("status"):
        return pickle.dumps(Settled(False), 5)
    return pickle.dumps(Settled(False, put_of(_stored(), {**obj, "status": status}, "")), 5)


@lru_cache(1)
def _stored() -> Resource:
    found = Catalog().find(None, GROUP, "v1", "customresourcedefinitions")
    assert found is not None
    return found
