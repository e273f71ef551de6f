"""Group versions of other servers among our own."""

from typing import Any

from kcpshard.callouts.targets import ClientConfig
from kcpshard.definitions.remote_apis import Described, RemoteApi
from kcpshard.definitions.remote_discovery import with_aggregated, with_groups


def api(
    group: str, version: str = "v1", group_priority: int = 1000, priority: int = 10, good: bool = True
) -> RemoteApi:
    return RemoteApi(f"{version}.{group}", group, version, group_priority, priority, ClientConfig("https://x"), good)


def group(name: str, *versions: str) -> dict[str, Any]:
    listed = [{"groupVersion": f"{name}/{v}", "version": v} for v in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


LOCAL = [group("apps", "v1"), group("b.dev", "v1")]


def test_groups_stand_by_priority_and_then_by_name() -> None:
    found = with_groups(
        LOCAL, [api("z.dev", group_priority=17_900), api("a.dev"), api("c.dev"), api("m.dev", "v1", 1500)]
    )
    assert [each["name"] for each in found] == ["z.dev", "apps", "m.dev", "a.dev", "b.dev", "c.dev"]
    assert found[0] == group("z.dev", "v1")


def test_a_version_joins_the_group_that_there_is() -> None:
    assert with_groups(LOCAL, [api("b.dev", "v2")])[1] == group("b.dev", "v1", "v2")
    assert with_groups(LOCAL, [api("b.dev", "v2", priority=200)])[1] == group("b.dev", "v2", "v1")


def test_aggregated_discovery_shows_what_the_server_said() -> None:
    resources = [
        {"name": "fruits", "singularName": "fruit", "namespaced": True, "kind": "Fruit", "verbs": ["get"]},
        {"name": "fruits/scale", "group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": ["get"]},
    ]
    (found,) = with_aggregated([], [api("a.dev")], lambda name: Described(resources, "", 1))
    kind = {"group": "", "version": "", "kind": "Fruit"}
    scale = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    subresource = {"subresource": "scale", "responseKind": scale, "verbs": ["get"]}
    shown = {"resource": "fruits", "responseKind": kind, "scope": "Namespaced", "singularResource": "fruit"}
    shown |= {"verbs": ["get"], "subresources": [subresource]}
    version = {"version": "v1", "resources": [shown], "freshness": "Current"}
    assert found == {"metadata": {"name": "a.dev"}, "versions": [version]}


def test_what_has_not_been_reached_is_stale() -> None:
    (never,) = with_aggregated([], [api("a.dev", good=False)], lambda name: None)
    assert never["versions"] == [{"version": "v1", "freshness": "Stale"}]
    (lately,) = with_aggregated([], [api("a.dev", good=False)], lambda name: Described([], "", 1))
    assert lately["versions"] == [{"version": "v1", "resources": [], "freshness": "Stale"}]
