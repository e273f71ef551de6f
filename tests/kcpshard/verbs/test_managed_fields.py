from typing import Any

import pytest

from kcpshard.api.errors import Conflict
from kcpshard.api.structured_merge import DuplicateItem
from kcpshard.verbs.managed_fields import (
    ANCIENT,
    APPLY,
    FIRST,
    UPDATE,
    Applied,
    Manager,
    after_create,
    after_update,
    apply,
    decode,
    manager_name,
)


class Shape:
    """A schema by hand."""

    def __init__(self, **given: Any) -> None:
        self.properties: dict[str, Shape] | None = given.get("properties")
        self.values: Shape | None = given.get("values")
        self.items: Shape | None = given.get("items")
        self.list_type: str = given.get("list_type", "")
        self.list_map_keys: tuple[str, ...] = given.get("keys", ())
        self.map_type: str = given.get("map_type", "")
        self.default: Any = given.get("default")


SCALAR = Shape()
MAP = Shape(values=SCALAR)
PORT = Shape(properties={"port": SCALAR, "protocol": Shape(default="TCP"), "name": SCALAR})
ITEM = Shape(properties={"name": SCALAR, "image": SCALAR, "args": Shape(items=SCALAR, list_type="atomic")})
SCHEMA = Shape(
    properties={
        "metadata": Shape(
            properties={
                "name": SCALAR,
                "labels": MAP,
                "annotations": MAP,
                "finalizers": Shape(items=SCALAR, list_type="set"),
            }
        ),
        "data": MAP,
        "selector": Shape(values=SCALAR, map_type="atomic"),
        "spec": Shape(
            properties={
                "replicas": SCALAR,
                "containers": Shape(items=ITEM, list_type="map", keys=("name",)),
                "ports": Shape(items=PORT, list_type="map", keys=("port", "protocol")),
            }
        ),
    }
)
A, B = (Manager(n, APPLY, "v1") for n in "ab")
UPDATER = Manager("kubectl-edit", UPDATE, "v1")


def obj(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "K", "metadata": {"name": "x"}, **fields}


def fields(entries: list[dict[str, Any]], manager: str) -> Any:
    return next((e["fieldsV1"] for e in entries if e["manager"] == manager), None)


def applied(
    live: dict[str, Any] | None, entries: list[dict[str, Any]], config: Any, by: Manager, **more: Any
) -> Applied:
    return apply(live, config, decode(entries), by, SCHEMA, more.get("force", False), more.get("now", "T2"))


def test_a_creator_owns_what_it_set_and_no_identity() -> None:
    entries = after_create(obj(data={"a": "1"}, spec={"replicas": 1}), UPDATER, SCHEMA, "T1")
    assert entries == [
        {
            "manager": "kubectl-edit",
            "operation": "Update",
            "apiVersion": "v1",
            "time": "T1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {".": {}, "f:a": {}}, "f:spec": {".": {}, "f:replicas": {}}},
        }
    ]


def test_an_update_takes_over_what_it_changes_and_drops_what_it_removes() -> None:
    first = after_create(obj(data={"a": "1", "b": "1"}), Manager("creator", UPDATE, "v1"), SCHEMA, "T1")
    second = after_update(obj(data={"a": "1", "b": "1"}), obj(data={"a": "2"}), decode(first), UPDATER, SCHEMA, "T2")
    assert fields(second, "creator") == {"f:data": {}}
    assert fields(second, "kubectl-edit") == {"f:data": {"f:a": {}}}


def test_an_update_that_changes_nothing_keeps_entries_and_times() -> None:
    first = after_create(obj(data={"a": "1"}), UPDATER, SCHEMA, "T1")
    assert after_update(obj(data={"a": "1"}), obj(data={"a": "1"}), decode(first), UPDATER, SCHEMA, "T2") == first


def test_apply_creates_owns_leaves_and_is_idempotent() -> None:
    config = obj(data={"a": "1"}, spec={"ports": [{"port": 80}]})
    first = applied(None, [], config, A)
    assert first.obj == config
    owned = {"f:a": {}}, {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}}}
    assert fields(first.entries, "a") == {"f:data": owned[0], "f:spec": owned[1]}
    assert applied(first.obj, first.entries, config, A, now="T9") == first


def test_apply_merges_beside_other_appliers_and_prunes_only_its_own() -> None:
    first = applied(None, [], obj(data={"a": "1", "shared": "s"}), A)
    second = applied(first.obj, first.entries, obj(data={"b": "2", "shared": "s"}), B)
    assert second.obj["data"] == {"a": "1", "b": "2", "shared": "s"}
    third = applied(second.obj, second.entries, obj(), A)
    assert third.obj["data"] == {"b": "2", "shared": "s"}
    assert fields(third.entries, "a") is None
    fourth = applied(third.obj, third.entries, obj(), B)
    assert "data" not in fourth.obj


def test_apply_refuses_to_change_what_another_owns_until_forced() -> None:
    live = obj(spec={"replicas": 3, "containers": [{"name": "c", "image": "1"}]})
    entries = after_create(live, UPDATER, SCHEMA, "T1")
    config = obj(spec={"replicas": 5, "containers": [{"name": "c", "image": "2"}]})
    with pytest.raises(Conflict) as refused:
        applied(live, entries, config, A)
    assert refused.value.message == (
        'Apply failed with 2 conflicts: conflicts with "kubectl-edit" using v1:\n'
        '- .spec.containers[name="c"].image\n- .spec.replicas'
    )
    assert [c.field for c in refused.value.causes] == ['.spec.containers[name="c"].image', ".spec.replicas"]
    forced = applied(live, entries, config, A, force=True)
    assert forced.obj["spec"] == {"replicas": 5, "containers": [{"name": "c", "image": "2"}]}
    assert "f:replicas" not in fields(forced.entries, "kubectl-edit")["f:spec"]


def test_agreeing_with_another_manager_is_no_conflict_but_shared_ownership() -> None:
    live = obj(spec={"replicas": 3})
    shared = applied(live, after_create(live, UPDATER, SCHEMA, "T1"), live, A)
    assert fields(shared.entries, "a") == {"f:spec": {"f:replicas": {}}}
    gone = applied(shared.obj, shared.entries, obj(), A)
    assert gone.obj["spec"] == {"replicas": 3}


def test_items_keep_the_servers_order_around_the_applied_ones() -> None:
    live = obj(spec={"containers": [{"name": n} for n in "xay"]})
    done = applied(live, [], obj(spec={"containers": [{"name": "a", "image": "1"}, {"name": "n"}]}), A)
    assert [c["name"] for c in done.obj["spec"]["containers"]] == ["x", "a", "y", "n"]


def test_the_first_apply_over_an_unmanaged_object_names_its_past() -> None:
    live = obj(data={"a": "1"})
    done = applied(live, [], obj(data={"b": "2"}), A)
    assert fields(done.entries, FIRST) == {"f:data": {"f:a": {}}}


def test_atomic_maps_and_sets() -> None:
    first = applied(None, [], obj(selector={"a": "1"}, metadata={"name": "x", "finalizers": ["f"]}), A)
    assert fields(first.entries, "a") == {"f:metadata": {"f:finalizers": {'v:"f"': {}}}, "f:selector": {}}
    second = applied(first.obj, first.entries, obj(selector={"b": "2"}), A)
    assert second.obj["selector"] == {"b": "2"}
    assert "finalizers" not in second.obj["metadata"]


def test_duplicate_items_are_refused() -> None:
    with pytest.raises(DuplicateItem):
        applied(None, [], obj(spec={"containers": [{"name": "c"}, {"name": "c"}]}), A)


def test_more_than_ten_updaters_share_an_entry() -> None:
    state, entries = obj(data={}), list[dict[str, Any]]()
    for number in range(14):
        changed = obj(data={**state["data"], f"k{number}": "1"})
        manager = Manager(f"m{number}", UPDATE, "v1")
        entries = after_update(state, changed, decode(entries), manager, SCHEMA, f"T{number:02}")
        state = changed
    assert len(entries) == 10
    assert fields(entries, ANCIENT) is not None


def test_the_manager_of_a_write_is_its_agents_product() -> None:
    assert manager_name("", "kubectl/v1.36.0 (linux)") == "kubectl"
    assert manager_name("mine", "kubectl/v1.36.0") == "mine"
