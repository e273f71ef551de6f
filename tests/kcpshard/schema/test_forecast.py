from typing import Any

from kcpshard.schema.forecast import agree, forecast, judge

STRING = {"type": "string"}


def schema(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}}


NEW, OLD = schema(image=STRING, overhead=STRING), schema(image=STRING)
STRANGE = schema(image={"type": "boolean"}, overhead=STRING)


def stored(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "T", "metadata": {"namespace": "shop", "name": name}, "spec": spec}


def test_what_the_old_cluster_costs() -> None:
    found = forecast(NEW, {"east": NEW, "west": OLD}, [stored("a", image="i"), stored("b", overhead="o")], "T")
    assert found.schema == OLD
    assert found.fields_lost == {"T.properties[spec].properties[overhead]": ["west"]}
    assert [(i.name, i.lost) for i in found.invalid] == [("shop/b", ("spec.overhead",))]
    assert not found.blocked_by


def test_who_blocks_does_not_narrow() -> None:
    found = forecast(NEW, {"east": NEW, "strange": STRANGE}, [], "T")
    assert found.schema == NEW
    assert [str(d) for d in found.blocked_by["strange"]] == [
        "T.properties[spec].properties[image]: type changed from string to boolean"
    ]


def test_objects_that_become_invalid_are_not_changed() -> None:
    short = schema(image={"type": "string", "maxLength": 2})
    each = stored("a", image="long", more="x")
    found = judge(each, short)
    assert found is not None and found.lost == ("spec.more",)
    assert found.faults == ("spec.image: Too long: may not be more than 2 bytes",)
    assert each["spec"] == {"image": "long", "more": "x"}


def test_a_cluster_scoped_object_has_no_namespace() -> None:
    each = {"metadata": {"name": "a"}, "spec": {"more": 1}}
    found = judge(each, OLD)
    assert found is not None and found.name == "a"


def test_agreeing_does_not_depend_on_the_order_of_arrival() -> None:
    assert agree(NEW, {"b": OLD, "a": NEW}, "T") == agree(NEW, {"a": NEW, "b": OLD}, "T")
