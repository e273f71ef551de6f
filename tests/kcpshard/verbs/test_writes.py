from typing import Any

import pytest

from kcpshard.api.errors import RequestEntityTooLarge
from kcpshard.definitions.catalog import Catalog
from kcpshard.storage import envelope
from kcpshard.verbs.writes import put_of, recorded_answer, remove_of, removed_status
from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap

CONFIGMAP = Catalog().find(None, "", "v1", "configmaps")
assert CONFIGMAP is not None


def document(**more: Any) -> dict[str, Any]:
    meta = {"name": "a", "namespace": "ns", "uid": "u", "labels": {"x": "y"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, **more}


def test_a_put_carries_what_selectors_need() -> None:
    assert CONFIGMAP is not None
    put = put_of(CONFIGMAP, document(), "ns")
    assert (put.group_resource, put.namespace, put.name, put.uid) == ("configmaps", "ns", "a", "u")
    assert (put.labels, put.api_version) == ({"x": "y"}, "v1")
    assert put.json[put.hole : put.hole + 19] == b"0" * 19


def test_an_object_may_not_outgrow_any_body() -> None:
    assert CONFIGMAP is not None
    with pytest.raises(RequestEntityTooLarge):
        put_of(CONFIGMAP, document(data={"k": "x" * 3_200_000}), "ns")


def test_a_removal_shows_the_last_state() -> None:
    assert CONFIGMAP is not None
    put = put_of(CONFIGMAP, document(), "ns")
    value = envelope.encode(put.json, put.hole, put.annotations, 7, 7, "u", "v1", b"", b"", 0)
    remove = remove_of(CONFIGMAP, "ns", "a", value)
    assert (remove.json, remove.hole) == (put.json, put.hole)


def test_the_status_of_a_removal_names_the_group_only_where_there_is_one() -> None:
    role = Catalog().find(None, "rbac.authorization.k8s.io", "v1", "roles")
    assert CONFIGMAP is not None and role is not None
    assert b'"group"' not in removed_status(CONFIGMAP, "a", "u")
    assert b'"group":"rbac.authorization.k8s.io"' in removed_status(role, "a", "u")


async def test_a_repeat_of_what_never_happened_is_done_now(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("a"))
    request = client.request("POST", CONFIGMAPS, configmap("b"))
    request.request_id, request.repeat, request.first_sent_us = b"0123456789abcdef", True, client.shard.now_us()
    assert (await client.send(request)).code == 201
    request.repeat = False
    assert recorded_answer.__doc__ and (await client.send(request)).code == 409
