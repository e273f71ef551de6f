import uuid

import orjson

from kcpshard.storage import envelope
from kcpshard.verbs.stencils import NAMESPACE, TIME, Stencil, random_uid

UID, NOW = "6f1f3c0a-5a0b-4d43-9d5e-3a3b8f1f0c11", "2026-01-02T03:04:05Z"


def test_uids_are_random_ones_of_version_4() -> None:
    found = [random_uid() for _ in range(200)]
    assert len(set(found)) == 200
    for uid in found:
        parsed = uuid.UUID(uid)
        assert (str(parsed), parsed.version, parsed.variant) == (uid, 4, uuid.RFC_4122)


def test_a_filled_stencil_is_what_encoding_would_have_given() -> None:
    meta = {"name": "a", "namespace": NAMESPACE, "labels": {"b": "c"}, "annotations": {"d": "e"}}
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"made": TIME}}
    put = Stencil("configmaps", obj, {"f": "g"}).put(UID, NOW, "some-where")
    filled = {**meta, "namespace": "some-where", "uid": UID, "creationTimestamp": NOW}
    expected = {**obj, "metadata": filled, "data": {"made": NOW}}
    assert (put.json, put.hole, put.annotations) == envelope.encode_object(expected)
    assert orjson.loads(put.json)["metadata"].keys() == {*filled, "resourceVersion"}
    assert put[:3] == ("configmaps", "some-where", "a")
    assert (put.uid, put.api_version, put.labels, put.fields) == (UID, "v1", {"b": "c"}, {"f": "g"})


def test_a_namespace_of_its_own_is_kept() -> None:
    obj = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "default"}}
    put = Stencil("services", obj).put(UID, NOW, "other")
    assert (put.namespace, orjson.loads(put.json)["metadata"]["namespace"]) == ("default", "default")
