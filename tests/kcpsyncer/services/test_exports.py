"""What of a Service is exported."""

from typing import Any

from kcpsyncer.conditions import Condition
from kcpsyncer.services.exports import Exported, Port, exported, names_of


def service(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web", "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec}


def test_ports_and_affinity_are_taken_along() -> None:
    ports = [{"name": "http", "port": 80, "targetPort": 8080, "nodePort": 30000}, {"port": 53, "protocol": "UDP"}]
    found = exported(
        "east",
        service(
            ports=ports, sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 9}},
            clusterIP="10.0.0.1",
        ),
        [],
    )  # fmt: skip
    assert isinstance(found, Exported)
    assert found.ports == (Port("http", "TCP", 80, ""), Port("", "UDP", 53, ""))
    assert (found.affinity, found.affinity_timeout_s, found.is_headless) == ("ClientIP", 9, False)


def test_a_headless_one_is_and_a_name_elsewhere_is_not() -> None:
    headless = exported("east", service(clusterIP="None"), [])
    assert isinstance(headless, Exported) and headless.is_headless
    refused = exported("east", service(type="ExternalName", externalName="x"), [])
    assert isinstance(refused, Condition) and refused.reason == "InvalidServiceType"


def test_a_service_may_be_a_leaf() -> None:
    assert names_of("web", "east") == ("web", "web--east")
