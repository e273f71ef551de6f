import pytest

from kcpshard.definitions.catalog import Catalog
from kcpshard.definitions.kind_form import WrongForm, field_schema, read_back

CONFIG_MAP = Catalog("minimal").find(None, "", "v1", "configmaps")


def test_unknown_fields_are_dropped_or_refused() -> None:
    assert CONFIG_MAP is not None
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "b"}, "more": 1}
    with pytest.raises(WrongForm, match='strict decoding error: unknown field "more"'):
        read_back(CONFIG_MAP, {**obj}, strictly=True)
    read_back(CONFIG_MAP, obj)
    assert "more" not in obj


def test_wrong_types_are_refused() -> None:
    assert CONFIG_MAP is not None
    with pytest.raises(WrongForm, match="cannot unmarshal number"):
        read_back(CONFIG_MAP, {"metadata": {}, "data": {"a": 1}})


def test_a_built_in_kind_is_merged_by_its_own_schema() -> None:
    assert CONFIG_MAP is not None
    assert field_schema(CONFIG_MAP) is CONFIG_MAP.schema
