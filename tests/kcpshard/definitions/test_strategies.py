from typing import Any

from kcpshard.api.errors import invalid
from kcpshard.definitions import facts
from kcpshard.definitions.strategies import KindStrategy, Rules, field_text, keep, keep_all_but

DEPLOYMENT = facts.schema_of("apps", "v1", "Deployment")


def test_without_a_row_status_goes_through_its_subresource_only() -> None:
    strategy = KindStrategy(Rules(), DEPLOYMENT)
    new: dict[str, Any] = {"spec": {"replicas": 2}, "status": {"replicas": 9}}
    strategy.prepare_create(new)
    assert new["status"] == {}
    new, old = {"spec": 2, "status": 9}, {"spec": 1, "status": 1}
    strategy.prepare_update(new, old, "")
    assert new == {"spec": 2, "status": 1}
    new = {"spec": 2, "status": 9, "extra": 1}
    strategy.prepare_update(new, old, "status")
    assert new == {"spec": 1, "status": 9}


def test_declared_defaults_are_filled_at_any_depth() -> None:
    strategy = KindStrategy(Rules(), DEPLOYMENT)
    containers = [{"name": "a", "ports": [{"containerPort": 80}, {"containerPort": 81, "protocol": "UDP"}]}]
    found = {"spec": {"template": {"spec": {"containers": containers}}}}
    strategy.default(found)
    assert [p["protocol"] for p in containers[0]["ports"]] == ["TCP", "UDP"]  # type: ignore[index]


def test_order_of_faults() -> None:
    def fault(name: str) -> Any:
        return lambda *objects: [invalid(name, 1, "")]

    rules = Rules(
        validate=(fault("always"),), validate_create=(fault("create"),), validate_update=(fault("update"),),
        validate_subresource={"status": (fault("status"),)},
    )  # fmt: skip
    strategy = KindStrategy(rules, None)
    assert [f.field for f in strategy.validate_create({})] == ["always", "create"]
    assert [f.field for f in strategy.validate_update({}, {}, "")] == ["update", "always"]
    assert [f.field for f in strategy.validate_update({}, {}, "status")] == ["status"]
    assert [f.field for f in strategy.validate_update({}, {}, "scale")] == ["update", "always"]
    assert strategy.validate_update({}, {}, "approval") == []


def test_selectable_fields_are_text() -> None:
    strategy = KindStrategy(Rules(fields=(("spec.on", ("spec", "on")), ("spec.n", ("spec", "n")))), None)
    assert strategy.field_names == ("spec.on", "spec.n")
    assert strategy.selectable_fields({"spec": {"on": True}}) == {"spec.on": "true", "spec.n": ""}
    assert field_text({"a": {"b": 3}}, ("a", "b")) == "3"
    assert field_text({"a": "x"}, ("a", "b")) == ""


def test_keep() -> None:
    new: dict[str, Any] = {"a": 1}
    keep(new, {}, "a")
    assert new == {}
    new = {"a": 1, "b": 2}
    keep_all_but(new, {"a": 0, "c": 3}, "a")
    assert new == {"a": 1, "c": 3}
