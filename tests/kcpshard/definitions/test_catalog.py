import json
from inspect import iscoroutine
from typing import Any

from kcpshard.definitions.catalog import Catalog
from kcpshard.definitions.contract import Document
from kcpshard.storage.contract import LogicalCluster

CATALOG = Catalog()


def cluster(cached: dict[str, Any]) -> LogicalCluster:
    made = LogicalCluster()
    made.cached = cached
    return made


def at_once(path: str, known: str = "", accept: str = "application/json") -> Document:
    found = CATALOG.document(None, path, accept, known)
    assert isinstance(found, Document)
    return found


def test_find() -> None:
    found = CATALOG.find(None, "rbac.authorization.k8s.io", "v1", "roles")
    assert found is not None and found.kind == "Role"
    assert CATALOG.find(None, "", "v1", "pods") is None
    assert CATALOG.find(cluster({}), "", "v1", "pods") is None


def test_a_client_that_has_the_document_gets_304() -> None:
    aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    first = at_once("/apis", accept=aggregated)
    assert (first.code, at_once("/apis", first.etag, aggregated).code) == (200, 304)
    assert at_once("/apis", f'"x", {first.etag}', aggregated).body == b""
    assert at_once("/apis", '"x"', aggregated).code == 200
    assert at_once("/api/").body == at_once("/api").body


async def test_openapi_is_built_when_first_asked_for_and_known_before() -> None:
    index = at_once("/openapi/v3")
    place = json.loads(index.body)["paths"]["apis/coordination.k8s.io/v1"]["serverRelativeURL"]
    building = CATALOG.document(None, place, "", "")
    assert iscoroutine(building)
    found = await building
    assert isinstance(found, Document) and "paths" in json.loads(found.body)
    assert place.endswith("=" + found.etag.strip('"'))
    assert at_once(place, found.etag).code == 304
    assert CATALOG.document(None, "/openapi/v3/apis/nope/v1", "", "") is None
    assert CATALOG.document(None, "/openapi/v9", "", "") is None


def test_convert_goes_to_the_version_wanted() -> None:
    wanted = CATALOG.find(None, "events.k8s.io", "v1", "events")
    assert wanted is not None
    assert CATALOG.convert({"apiVersion": "v1", "kind": "Event", "message": "m"}, wanted)["note"] == "m"
