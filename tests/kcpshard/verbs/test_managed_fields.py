from typing import Any, NamedTuple

import pytest

from kcpshard.verbs import managed_fields
from kcpshard.verbs.managed_fields import (
    ANCIENT,
    APPLY,
    UPDATE,
    FieldConflicts,
    Manager,
    View,
    conflict,
    decode,
    encode,
    is_reset,
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
A, B = (Manager(n, APPLY, "") for n in "ab")
VIEW = View("v1", SCHEMA, {}, lambda obj, version: None, {})
NOTHING = {"apiVersion": "v1", "kind": "K", "metadata": {}}
UPDATER = Manager("kubectl-edit", UPDATE, "v1")


def obj(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "K", "metadata": {"name": "x"}, **fields}


def fields(entries: list[dict[str, Any]], manager: str) -> Any:
    return next((e["fieldsV1"] for e in entries if e["manager"] == manager), None)


class Applied(NamedTuple):
    obj: dict[str, Any]
    entries: list[dict[str, Any]]


def applied(
    live: dict[str, Any] | None, entries: list[dict[str, Any]], config: Any, by: Manager, **more: Any
) -> Applied:
    done = managed_fields.apply(
        live or NOTHING, config, decode(entries), by, VIEW, more.get("force", False), more.get("now", "T2")
    )
    return Applied(done.obj, encode(done.managers))


def after_create(new: dict[str, Any], manager: Manager, now: str) -> list[dict[str, Any]]:
    return encode(managed_fields.after_update(NOTHING, new, {}, manager, VIEW, now))


def after_update(old: Any, new: Any, managers: Any, manager: Manager, now: str) -> list[dict[str, Any]]:
    return encode(managed_fields.after_update(old, new, managers, manager, VIEW, now))


def test_a_creator_owns_what_it_set_and_no_identity() -> None:
    entries = after_create(obj(data={"a": "1"}, spec={"replicas": 1}), UPDATER, "T1")
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
    first = after_create(obj(data={"a": "1", "b": "1"}), Manager("creator", UPDATE, "v1"), "T1")
    second = after_update(obj(data={"a": "1", "b": "1"}), obj(data={"a": "2"}), decode(first), UPDATER, "T2")
    assert fields(second, "creator") == {"f:data": {}}
    assert fields(second, "kubectl-edit") == {"f:data": {"f:a": {}}}


def test_an_update_that_changes_nothing_keeps_entries_and_times() -> None:
    first = after_create(obj(data={"a": "1"}), UPDATER, "T1")
    assert after_update(obj(data={"a": "1"}), obj(data={"a": "1"}), decode(first), UPDATER, "T2") == first


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
    entries = after_create(live, UPDATER, "T1")
    config = obj(spec={"replicas": 5, "containers": [{"name": "c", "image": "2"}]})
    with pytest.raises(FieldConflicts) as refused:
        applied(live, entries, config, A)
    told = conflict(refused.value.conflicts)
    assert told.message == (
        'Apply failed with 2 conflicts: conflicts with "kubectl-edit" using v1:\n'
        '- .spec.replicas\n- .spec.containers[name="c"].image'
    )
    assert [c.field for c in told.causes] == [".spec.replicas", '.spec.containers[name="c"].image']
    forced = applied(live, entries, config, A, force=True)
    assert forced.obj["spec"] == {"replicas": 5, "containers": [{"name": "c", "image": "2"}]}
    assert "f:replicas" not in fields(forced.entries, "kubectl-edit")["f:spec"]


def test_agreeing_with_another_manager_is_no_conflict_but_shared_ownership() -> None:
    live = obj(spec={"replicas": 3})
    shared = applied(live, after_create(live, UPDATER, "T1"), live, A)
    assert fields(shared.entries, "a") == {"f:spec": {"f:replicas": {}}}
    gone = applied(shared.obj, shared.entries, obj(), A)
    assert gone.obj["spec"] == {"replicas": 3}


def test_items_keep_the_servers_order_around_the_applied_ones() -> None:
    live = obj(spec={"containers": [{"name": n} for n in "xay"]})
    done = applied(live, [], obj(spec={"containers": [{"name": "a", "image": "1"}, {"name": "n"}]}), A)
    assert [c["name"] for c in done.obj["spec"]["containers"]] == ["x", "a", "y", "n"]


def test_atomic_maps_and_sets() -> None:
    first = applied(None, [], obj(selector={"a": "1"}, metadata={"name": "x", "finalizers": ["f"]}), A)
    assert fields(first.entries, "a") == {"f:metadata": {"f:finalizers": {'v:"f"': {}}}, "f:selector": {}}
    second = applied(first.obj, first.entries, obj(selector={"b": "2"}), A)
    assert second.obj["selector"] == {"b": "2"}
    assert "finalizers" not in second.obj["metadata"]


def test_more_than_ten_updaters_share_an_entry() -> None:
    state, entries = obj(data={}), list[dict[str, Any]]()
    for number in range(14):
        changed = obj(data={**state["data"], f"k{number}": "1"})
        manager = Manager(f"m{number}", UPDATE, "v1")
        entries = after_update(state, changed, decode(entries), manager, f"T{number:02}")
        state = changed
    assert len(entries) == 10
    assert fields(entries, ANCIENT) is not None


def test_a_list_without_anything_in_it_is_a_reset() -> None:
    assert is_reset([{}])
    assert is_reset([])
    assert not is_reset(None)
    assert not is_reset([{}, {}])


def test_a_malformed_entry_spoils_the_list() -> None:
    good = after_create(obj(data={"a": "1"}), UPDATER, "T1")
    assert decode(good)
    assert decode([*good, {"manager": "x", "operation": "Else", "apiVersion": "v1", "fieldsType": "FieldsV1"}]) == {}


def test_what_an_endpoint_resets_is_owned_by_nobody() -> None:
    view = VIEW._replace(ignored={"f:spec": {}})
    owners = managed_fields.after_update(NOTHING, obj(data={"a": "1"}, spec={"replicas": 1}), {}, UPDATER, view, "T")
    assert fields(encode(owners), UPDATER.name) == {"f:data": {".": {}, "f:a": {}}}


def test_a_manager_of_another_version_keeps_its_own_names() -> None:
    def at_version(value: dict[str, Any], version: str) -> Any:
        if version == "v0":
            return None
        renamed = {("old" if k == "data" else k): v for k, v in value.items()}
        return {**renamed, "apiVersion": version}, None

    view = VIEW._replace(at_version=at_version)
    other = Manager("other", UPDATE, "v2")
    gone = Manager("gone", UPDATE, "v0")
    managers = decode(
        encode(
            {
                other: managed_fields.Managed({"f:old": {"f:a": {}, "f:b": {}}}, "T0", "v2"),
                gone: managed_fields.Managed({"f:x": {}}, "T0", "v0"),
            }
        )
    )
    old, new = obj(data={"a": "1", "b": "1"}), obj(data={"a": "2", "b": "1"})
    entries = encode(managed_fields.after_update(old, new, managers, UPDATER, view, "T1"))
    assert fields(entries, "other") == {"f:old": {"f:b": {}}}
    assert fields(entries, "gone") is None
