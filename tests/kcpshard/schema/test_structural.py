from kcpshard.schema.structural import ANYTHING, Structural

OBJECT = {"type": "object"}


def test_the_tree_knows_children_by_property_or_value() -> None:
    schema = Structural({"type": "object", "additionalProperties": {"type": "string"}})
    child = schema.child("anything")
    assert child is not None and child.type == "string"
    assert Structural({**OBJECT, "properties": {"a": OBJECT}}).child("b") is None


def test_children_are_built_once_and_when_wanted() -> None:
    schema = Structural({**OBJECT, "properties": {"a": {"type": "array", "items": {"type": "string", "default": "x"}}}})
    assert schema.has_inner_defaults and not schema.defaulted
    assert schema.properties is schema.properties is not None
    items = schema.properties["a"].items
    assert items is not None and items is schema.properties["a"].items and items.default == "x"
    assert Structural({**OBJECT, "additionalProperties": True}).values is ANYTHING
