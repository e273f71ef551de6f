"""What several clusters export under one name becomes one; where they disagree the oldest counts."""

from typing import Any

import pytest

from kcpsyncer.services.exports import Exported, Port
from kcpsyncer.services.imports import (
    SERVICE_NAME,
    SOURCE_CLUSTER,
    Place,
    carried_slices,
    combined,
    derived_name,
    derived_service,
    import_status,
    service_import,
)

PLACE = Place("kcp-x", "web", "broker")
HTTP, DNS = Port("http", "TCP", 80, ""), Port("dns", "UDP", 53, "")


def export(cluster: str, created: str = "2026-01-01T00:00:00Z", **fields: Any) -> Exported:
    base = Exported(cluster, created, (HTTP,), False, "None", None, ())
    return base._replace(**fields)


def test_ports_are_united_and_clusters_listed() -> None:
    found = combined([export("west", ports=(HTTP, DNS)), export("east")])
    assert (found.ports, found.conflict.status, found.conflict.reason) == ((HTTP, DNS), "False", "NoConflicts")
    assert import_status(found) == {"clusters": [{"cluster": "east"}, {"cluster": "west"}]}
    spec = service_import(found, PLACE, ["10.0.0.9"])["spec"]
    assert (spec["type"], spec["ips"], len(spec["ports"])) == ("ClusterSetIP", ["10.0.0.9"], 2)


@pytest.mark.parametrize(
    ("differs", "reason"),
    [
        ({"ports": (Port("http", "TCP", 8080, ""),)}, "PortConflict"),
        ({"ports": (Port("web", "TCP", 80, ""),)}, "PortConflict"),
        ({"is_headless": True}, "TypeConflict"),
        ({"affinity": "ClientIP"}, "SessionAffinityConflict"),
    ],
)
def test_the_oldest_wins_and_who_differs_is_named(differs: dict[str, Any], reason: str) -> None:
    old, young = export("west", "2025-01-01T00:00:00Z"), export("east", **differs)
    found = combined([young, old])
    assert (found.ports, found.is_headless, found.affinity) == ((HTTP,), False, "None")
    assert (found.conflict.status, found.conflict.reason) == ("True", reason)
    assert "east" in found.conflict.message and "west" in found.conflict.message
    assert combined([old, young]) == found, "the order of asking decides nothing"


def test_another_timeout_of_the_same_affinity() -> None:
    old = export("a", "2025-01-01T00:00:00Z", affinity="ClientIP", affinity_timeout_s=1)
    found = combined([old, export("b", affinity="ClientIP", affinity_timeout_s=2)])
    assert found.conflict.reason == "SessionAffinityConfigConflict"
    service = derived_service(found, PLACE)
    assert service is not None
    assert service["spec"]["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 1}}


def test_slices_say_where_they_are_from_and_forget_nodes() -> None:
    endpoint = {"addresses": ["10.1.0.1"], "nodeName": "n", "targetRef": {"kind": "Pod"}, "conditions": {"ready": True}}
    raw = {"metadata": {"name": "web-abc"}, "addressType": "IPv4", "endpoints": [endpoint], "ports": [{"port": 8080}]}
    found = combined([export("east", slices=(raw,)), export("west", slices=(raw,))])
    east, west = carried_slices(found, PLACE, is_below=True)
    assert east["endpoints"] == [{"addresses": ["10.1.0.1"], "conditions": {"ready": True}}]
    assert (east["metadata"]["labels"][SERVICE_NAME], east["metadata"]["labels"][SOURCE_CLUSTER]) == ("web", "east")
    assert east["metadata"]["labels"]["kubernetes.io/service-name"] == derived_name(PLACE)
    assert east["metadata"]["name"] != west["metadata"]["name"]
    above = carried_slices(found, PLACE, is_below=False)
    assert all("kubernetes.io/service-name" not in each["metadata"]["labels"] for each in above)


def test_a_headless_import_has_no_address() -> None:
    found = combined([export("east", is_headless=True)])
    assert derived_service(found, PLACE) is None
    assert service_import(found, PLACE)["spec"]["type"] == "Headless"
