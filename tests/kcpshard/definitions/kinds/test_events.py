from collections.abc import Mapping

from tests.kcpshard.definitions.submission import create, resource, update

CORE, NEW = resource("events"), resource("events", "events.k8s.io")
GOOD = {
    "eventTime": "2020-01-01T00:00:00.000000Z", "regarding": {"namespace": "default"}, "reportingController": "a",
    "reportingInstance": "i", "action": "x", "reason": "r", "type": "Normal",
}  # fmt: skip


def test_an_old_event_is_about_its_own_namespace() -> None:
    assert create(CORE, involvedObject={"namespace": "other"})[1] == ["involvedObject.namespace"]
    assert create(CORE, involvedObject={"namespace": "default"})[1] == []
    assert create(CORE)[1] == []


def test_a_new_event_is_complete_and_stays_as_it_is() -> None:
    old, faults = create(NEW, **GOOD)
    assert faults == []
    assert create(NEW, **GOOD | {"type": "X"})[1] == ["type"]
    assert update(NEW, old, reason="z")[1] == ["reason"]
    series = {"count": 2, "lastObservedTime": "2020-01-01T00:00:00.000000Z"}
    assert update(NEW, old, series=series)[1] == []


def test_selectable_fields() -> None:
    found, _ = create(CORE, involvedObject={"namespace": "default", "name": "x"}, reportingComponent="c")
    fields = CORE.strategy.selectable_fields(found)
    assert (fields["involvedObject.name"], fields["source"], fields["reason"]) == ("x", "c", "")
    assert set(fields) == set(CORE.strategy.field_names)


def test_the_new_version_has_names_of_its_own_for_them() -> None:
    assert isinstance(NEW.field_names, Mapping)
    assert NEW.field_names["reportingController"] == "reportingComponent"
    assert NEW.field_names["regarding.name"] == "involvedObject.name"
    assert "involvedObject.name" not in NEW.field_names and set(NEW.field_names.values()) < set(CORE.field_names)
