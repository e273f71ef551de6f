import pickle
from typing import Any

import orjson

from kcpshard.controllers.definition_statuses import Asked, Settled, settle_job
from kcpshard.storage import envelope
from tests.contracts.custom_types import crd

NOW = "2026-01-01T00:00:00Z"


def settled(obj: Any) -> Settled:
    json, hole, annotations = envelope.encode_object(obj)
    value = envelope.encode(json, hole, annotations, 5, 5, "u", "apiextensions.k8s.io/v1", b"", b"", 0)
    found: Settled = pickle.loads(settle_job(pickle.dumps(Asked(value, (), None, None, NOW))))
    return found


def stored(**meta: Any) -> Any:
    obj = crd()
    return {**obj, "metadata": {"uid": "u", "creationTimestamp": NOW, **obj["metadata"], **meta}}


def test_a_new_definition_gets_its_names_and_a_settled_one_stays() -> None:
    first = settled(stored())
    assert first.put is not None and not first.is_deleting
    obj = orjson.loads(first.put.json)
    assert obj["status"]["acceptedNames"]["kind"] == obj["spec"]["names"]["kind"]
    assert settled(obj) == Settled(False)


def test_one_that_goes_is_left_to_whoever_removes_its_objects() -> None:
    assert settled(stored(deletionTimestamp=NOW)) == Settled(True)
