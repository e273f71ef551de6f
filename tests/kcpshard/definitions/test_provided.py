import json

import pytest

from kcpshard.api.names import KUBERNETES_GROUPS
from kcpshard.definitions import provided
from kcpshard.definitions.catalog import Catalog
from kcpshard.definitions.contract import Document
from kcpshard.schema.structural_faults import faults


def test_types_are_loaded_when_they_are_first_used() -> None:
    types = provided.ProvidedTypes()
    assert all(each.schema is None for each in types.resources)
    found = types.find(("tenancy.kcp.io", "v1alpha1", "workspaces"))
    assert found is not None and found.schema is not None and found.kind == "Workspace"
    assert types.find(("tenancy.kcp.io", "v1", "workspaces")) is None


def test_their_groups_are_nobody_elses() -> None:
    assert {each.group for each in provided.ProvidedTypes().resources} <= KUBERNETES_GROUPS


@pytest.mark.parametrize("name", provided.documents())
def test_schemas_are_structural(name: str) -> None:
    for version in provided.documents()[name]["spec"]["versions"]:
        assert not faults(version["schema"]["openAPIV3Schema"], "schema")


async def test_they_are_discovered_and_described() -> None:
    catalog = Catalog()
    groups = catalog.document(None, "/apis", "application/json", "")
    assert isinstance(groups, Document)
    assert {"core.kcp.io", "tenancy.kcp.io"} <= {each["name"] for each in json.loads(groups.body)["groups"]}
    index = catalog.document(None, "/openapi/v3", "", "")
    assert isinstance(index, Document)
    place = json.loads(index.body)["paths"]["apis/tenancy.kcp.io/v1alpha1"]["serverRelativeURL"]
    building = catalog.document(None, place, "", "")
    assert building is not None and not isinstance(building, Document)
    document = await building
    assert document is not None
    schemas = json.loads(document.body)["components"]["schemas"]
    assert schemas["io.kcp.tenancy.v1alpha1.Workspace"]["description"].startswith("A workspace")
