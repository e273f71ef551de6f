from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpshard.definitions.facts import definition
from kcpshard.definitions.fields import WrongType, check_fields, object_meta
from tests.kcpshard.definitions.submission import RESOURCES, resource

_ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.floats(allow_nan=False) | st.text("ab=/", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "name", "spec"]), inner, max_size=3)
    ),
    max_leaves=8,
)  # fmt: skip


def test_unknown_fields_are_dropped_and_named_where_they_were() -> None:
    limits = resource("limitranges")
    found: dict[str, Any] = {
        "spec": {"limits": [{"type": "Pod"}, {"type": "Pod", "x": 1, "max": {"cpu": "1"}}], "y": {}},
        "metadata": {"z": 1, "ownerReferences": [{"q": 1, "uid": "1"}]},
        "top": 1,
    }
    unknown = check_fields(limits.schema, found)
    assert unknown == ["spec.limits[1].x", "spec.y", "metadata.z", "metadata.ownerReferences[0].q", "top"]
    assert "top" not in found and "x" not in found["spec"]["limits"][1] and found["spec"]["limits"][1]["max"]


@pytest.mark.parametrize(
    ("plural", "members", "fault"),
    [
        ("configmaps", {"data": []},
         "cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string"),
        ("events", {"count": 1.5}, "cannot unmarshal number 1.5 into Go struct field Event.count of type int32"),
        ("secrets", {"type": 1}, "cannot unmarshal number into Go struct field Secret.type of type v1.SecretType"),
        ("events", {"series": {"count": "x"}},
         "cannot unmarshal string into Go struct field EventSeries.series.count of type int32"),
        ("configmaps", {"metadata": {"ownerReferences": [{"kind": 1}]}},
         "cannot unmarshal number into Go struct field OwnerReference.metadata.ownerReferences.kind of type string"),
    ],
)  # fmt: skip
def test_wrong_types_in_gos_words(plural: str, members: dict[str, Any], fault: str) -> None:
    with pytest.raises(WrongType) as found:
        check_fields(resource(plural).schema, members)
    assert str(found.value) == f"json: {fault}"


def test_zero_values_as_go_stores_them() -> None:
    found: dict[str, Any] = {"reason": "", "count": 0, "related": None, "metadata": {"labels": {}}, "action": "a"}
    check_fields(resource("events").schema, found)
    assert found == {
        "action": "a", "metadata": {}, "involvedObject": {}, "source": {}, "reportingComponent": "",
        "reportingInstance": "", "eventTime": None, "firstTimestamp": None, "lastTimestamp": None,
    }  # fmt: skip


def test_pointers_keep_their_zero() -> None:
    found: dict[str, Any] = {"spec": {"holderIdentity": "", "leaseTransitions": 0}}
    check_fields(resource("leases", "coordination.k8s.io").schema, found)
    assert found["spec"] == {"holderIdentity": "", "leaseTransitions": 0}


def test_a_schema_inside_a_union_is_cut_without_a_word() -> None:
    schema = definition("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps")
    found: dict[str, Any] = {"items": {"type": "string", "bogus": 1}, "additionalProperties": True, "bogus": 1}
    assert check_fields(schema, found) == ["bogus"]
    assert found == {"items": {"type": "string"}, "additionalProperties": True}


@given(
    st.sampled_from(sorted(RESOURCES)), st.dictionaries(st.sampled_from(["spec", "data", "metadata", "rules"]), _ANY)
)
def test_what_passes_once_passes_unchanged(place: tuple[str, str], document: dict[str, Any]) -> None:
    try:
        check_fields(RESOURCES[place].schema, document)
    except WrongType as fault:
        assert str(fault)
        return
    again = deepcopy(document)
    assert check_fields(RESOURCES[place].schema, again) == []
    assert again == document


def test_metadata_of_any_kind() -> None:
    found = {"name": "a", "bogus": 1}
    assert check_fields(object_meta(), found) == ["bogus"]
