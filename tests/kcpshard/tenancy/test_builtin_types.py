from kcpshard.tenancy import builtin_types
from kcpshard.tenancy.names import TypeReference


def test_only_root_shows_them() -> None:
    assert builtin_types.shown_in_root("root") == {}
    assert builtin_types.shown_in_root("other") is None
    assert {each.name for each in builtin_types.type_objects()} == set(builtin_types.SPECS)


def test_types_of_those_without_a_parent() -> None:
    assert builtin_types.top_level_type("root") == TypeReference("root", "root")
    assert builtin_types.top_level_type("tenant") == TypeReference("root", "universal")
