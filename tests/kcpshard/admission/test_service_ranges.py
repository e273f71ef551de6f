from kcpshard.admission.service_ranges import DEFAULT_RANGE, KUBERNETES, address_object


def test_the_first_address_is_kubernetes_own() -> None:
    assert (KUBERNETES, str(DEFAULT_RANGE)) == ("10.96.0.1", "10.96.0.0/16")


def test_an_address_names_its_service() -> None:
    found = address_object("fd00::2", "ns", "a")
    assert found["metadata"]["labels"]["ipaddress.kubernetes.io/ip-family"] == "IPv6"
    assert found["spec"] == {"parentRef": {"resource": "services", "namespace": "ns", "name": "a"}}
