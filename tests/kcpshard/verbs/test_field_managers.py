from typing import Any

import pytest

from kcpshard.rpc import shard_pb2 as pb
from kcpshard.verbs.field_managers import manager_of, set_entries, unborn
from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap, memory_shard


def _resource(plural: str) -> Any:
    return memory_shard().catalog.find(None, "", "v1", plural)


@pytest.mark.parametrize(
    ("field_manager", "user_agent", "name"),
    [
        pytest.param("mine", "kubectl/v1.36.0", "mine", id="named"),
        pytest.param("", "kubectl/v1.36.0 (linux)", "kubectl", id="the agent's product"),
        pytest.param("", "", "unknown", id="nothing known"),
        pytest.param("", "a\x07b/1", "ab", id="printable characters only"),
        pytest.param("", "é" * 100, "é" * 64, id="at most 128 bytes"),
    ],
)
def test_the_manager_of_a_write(field_manager: str, user_agent: str, name: str) -> None:
    request = pb.Request(field_manager=field_manager, user_agent=user_agent)
    assert manager_of(request, _resource("configmaps")).name == name


def test_the_unborn_object_has_gos_zero_values() -> None:
    assert unborn(_resource("namespaces"))["spec"] == {}
    assert "data" not in unborn(_resource("configmaps"))


def test_only_times_changed_means_nothing_changed() -> None:
    entry = {"manager": "m", "operation": "Update", "time": "T1"}
    old = {"metadata": {"name": "x", "managedFields": [entry]}, "data": {}}
    new = {"metadata": {"name": "x"}, "data": {}}
    set_entries(new, old, [entry | {"time": "T2"}])
    assert new["metadata"]["managedFields"] == [entry]
    changed: dict[str, Any] = {"metadata": {"name": "x"}, "data": {"a": "1"}}
    set_entries(changed, old, [entry | {"time": "T2"}])
    assert changed["metadata"]["managedFields"][0]["time"] == "T2"


async def test_an_update_without_effect_keeps_times_and_writes_nothing() -> None:
    client = ApiClient(memory_shard())
    first = await client.create(CONFIGMAPS, configmap("x", {"a": "1"}))
    clock: Any = client.shard.now_us
    clock.now += 5_000_000
    again = (await client.do("PUT", f"{CONFIGMAPS}/x", configmap("x", {"a": "1"}))).json
    assert again == first
    changed = (await client.do("PUT", f"{CONFIGMAPS}/x", configmap("x", {"a": "2"}))).json
    assert changed["metadata"]["managedFields"][0]["time"] != first["metadata"]["managedFields"][0]["time"]
    await client.shard.store.close()


async def test_cleared_entries_stay_away_until_somebody_applies() -> None:
    client = ApiClient(memory_shard())
    await client.create(CONFIGMAPS, configmap("x", {"a": "1"}))
    cleared = await client.patch(f"{CONFIGMAPS}/x", {"metadata": {"managedFields": [{}]}, "data": {"b": "1"}})
    assert "managedFields" not in cleared["metadata"]
    assert "managedFields" not in (await client.patch(f"{CONFIGMAPS}/x", {"data": {"c": "1"}}))["metadata"]
    applied = await client.patch(
        f"{CONFIGMAPS}/x?fieldManager=m", configmap("x", {"d": "1"}), "application/apply-patch+yaml"
    )
    assert [e["manager"] for e in applied["metadata"]["managedFields"]] == ["m", "before-first-apply"]
    await client.shard.store.close()


async def test_entries_cannot_be_set_through_a_subresource() -> None:
    client = ApiClient(memory_shard())
    quotas = "/api/v1/namespaces/default/resourcequotas"
    quota: dict[str, Any] = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}}
    await client.create(quotas + "?fieldManager=m", quota)
    quota |= {"metadata": {"name": "q", "managedFields": [{}]}, "status": {"hard": {"pods": "1"}}}
    updated = (await client.do("PUT", f"{quotas}/q/status?fieldManager=s", quota)).json
    found = {(e["manager"], e.get("subresource", "")) for e in updated["metadata"]["managedFields"]}
    assert found == {("m", ""), ("s", "status")}
    await client.shard.store.close()
