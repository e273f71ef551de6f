from typing import Any

from tests.contracts.api_client import CONFIGMAPS, MERGE, ApiClient, configmap
from tests.contracts.registrations import register


async def mutating(client: ApiClient, expression: str, name: str = "p", **spec: Any) -> None:
    mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}
    await register(client, "mutating", name, {"reinvocationPolicy": "Never", "mutations": [mutation], **spec})


async def test_what_a_policy_changes_is_stored_on_every_way_of_writing(full: ApiClient) -> None:
    await mutating(full, "Object{data: {'by': string(request.operation)}}")
    assert (await full.create(CONFIGMAPS, configmap("a", {"x": "y"})))["data"] == {"by": "CREATE", "x": "y"}
    changed = await full.patch(f"{CONFIGMAPS}/a", {"data": {"z": "1"}}, MERGE)
    assert changed["data"] == {"by": "UPDATE", "x": "y", "z": "1"}
    url = f"{CONFIGMAPS}/b?fieldManager=m"
    applied = await full.patch(url, configmap("b", {"a": "b"}), "application/apply-patch+yaml")
    assert applied["data"] == {"a": "b", "by": "CREATE"}


async def test_server_set_metadata_is_not_seen_and_not_lost(full: ApiClient) -> None:
    await mutating(full, "Object{data: {'uid': string(has(object.metadata.uid))}}")
    made = await full.create(CONFIGMAPS, configmap("a", {"k": "v"}))
    assert (
        made["data"] == {"k": "v", "uid": "false"} and made["metadata"]["uid"] and made["metadata"]["creationTimestamp"]
    )
    assert made["metadata"]["managedFields"]


async def test_a_policy_that_wants_it_sees_what_later_ones_changed(full: ApiClient) -> None:
    await mutating(full, "Object{data: {'seen': string(has(object.data.late))}}", reinvocationPolicy="IfNeeded")
    await mutating(full, "Object{data: {'late': 'yes'}}", "q")
    made = await full.create(CONFIGMAPS, configmap("a", {"k": "v"}))
    assert made["data"] == {"k": "v", "late": "yes", "seen": "true"}


async def test_a_failure_refuses_unless_it_is_ignored(full: ApiClient) -> None:
    await mutating(full, "Object{data: {'x': string(object.data.gone)}}")
    reply = await full.do("POST", CONFIGMAPS, configmap("a", {}))
    assert reply.code == 403 and reply.json["reason"] == "Invalid"
    assert reply.message.startswith("policy 'p' with binding 'p' denied request: expression ")
    other = ApiClient(full.shard, "other")
    await mutating(other, "Object{data: {'x': string(object.data.gone)}}", failurePolicy="Ignore")
    assert (await other.create(CONFIGMAPS, configmap("a", {"k": "v"})))["data"] == {"k": "v"}
