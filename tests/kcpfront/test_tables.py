import pytest

from kcpfront import tables
from kcpfront.printers.columns import DEFAULT
from kcpfront.request_info import parse_request
from kcpshard.api.errors import BadRequest

OBJ = {"kind": "Thing", "apiVersion": "x/v1", "metadata": {"name": "a", "resourceVersion": "7"}, "spec": {}}
PARTIAL = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": OBJ["metadata"]}


@pytest.mark.parametrize(
    ("include", "shown"),
    [(tables.METADATA, {"object": PARTIAL}), (tables.OBJECT, {"object": OBJ}), (tables.NONE, {})],
)
def test_rows_carry_what_was_asked_for(include: str, shown: dict[str, object]) -> None:
    assert tables.row(DEFAULT, OBJ, include, "v1", 0.0) == {"cells": ["a", None]} | shown


def test_a_table_of_one_object() -> None:
    found = tables.object_table(DEFAULT, OBJ, tables.NONE, "v1beta1", 0.0)
    assert (found["kind"], found["apiVersion"]) == ("Table", "meta.k8s.io/v1beta1")
    assert found["metadata"] == {"resourceVersion": "7"}
    assert [c["name"] for c in found["columnDefinitions"]] == ["Name", "Created At"]
    assert found["rows"] == [{"cells": ["a", None]}]


def test_later_events_name_no_columns() -> None:
    assert tables.object_table(DEFAULT, OBJ, tables.NONE, "v1", 0.0, headers=False)["columnDefinitions"] is None


def test_a_partial_list() -> None:
    assert tables.partial_list([OBJ], {"resourceVersion": "9"}, "v1") == {
        "kind": "PartialObjectMetadataList",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": "9"},
        "items": [PARTIAL],
    }


def test_include_object_is_checked() -> None:
    assert tables.include_object(parse_request("GET", "/api/v1/nodes", None)) == "Metadata"
    assert tables.include_object(parse_request("GET", "/api/v1/nodes?includeObject=None", None)) == "None"
    with pytest.raises(BadRequest, match="must be 'Metadata', 'Object', 'None', or empty"):
        tables.include_object(parse_request("GET", "/api/v1/nodes?includeObject=x", None))


def test_the_printer_is_the_crds_own_then_built_in_then_default() -> None:
    info = parse_request("GET", "/api/v1/namespaces/a/configmaps", None)
    assert [c.name for c in tables.printer_for(info, b"").columns] == ["Name", "Data", "Age"]
    assert [c.name for c in tables.printer_for(info, b"[]").columns] == ["Name", "Age"]
    assert tables.printer_for(parse_request("GET", "/apis/x/v1/things", None), b"") is DEFAULT


def test_shapes_must_fit() -> None:
    assert tables.wrong_shape("PartialObjectMetadata", is_list=True) is not None
    assert tables.wrong_shape("PartialObjectMetadataList", is_list=False) is not None
    assert tables.wrong_shape("Table", is_list=True) is None


AGE_ONLY = b'[{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]'
OWN = b'[{"name": "Size", "type": "string", "jsonPath": ".spec.size"}]'


def test_a_built_in_kind_served_by_a_crd_is_shown_as_that_kind() -> None:
    info = parse_request("GET", "/apis/apps/v1/namespaces/n/deployments", "")
    shown = tables.printer_for(info, AGE_ONLY)
    assert [c.name for c in shown.columns][:5] == ["Name", "Ready", "Up-to-date", "Available", "Age"]
    obj = {"metadata": {"name": "d"}, "spec": {"replicas": 3}, "status": {"readyReplicas": 2}}
    assert shown.cells(obj, 0.0)[:2] == ["d", "2/3"]
    assert shown.cells({"metadata": {"name": "d"}, "spec": "strange"}, 0.0)[:2] == ["d", "<unknown>"]
    assert [c.name for c in tables.printer_for(info, OWN).columns] == ["Name", "Size"]
    other = parse_request("GET", "/apis/example.dev/v1/things", "")
    assert [c.name for c in tables.printer_for(other, AGE_ONLY).columns] == ["Name", "Age"]
