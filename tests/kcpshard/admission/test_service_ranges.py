from ipaddress import ip_address, ip_network

import pytest

from kcpshard.admission.service_ranges import (
    DEFAULT,
    DEFAULT_RANGE,
    KUBERNETES,
    ServiceRange,
    address_object,
    families_of,
    is_ready_range,
)


def test_the_first_address_is_kubernetes_own() -> None:
    assert (KUBERNETES, str(DEFAULT_RANGE)) == ("10.96.0.1", "10.96.0.0/16")


def test_an_address_names_its_service() -> None:
    found = address_object("fd00::2", "ns", "a")
    assert found["metadata"]["labels"]["ipaddress.kubernetes.io/ip-family"] == "IPv6"
    assert found["spec"] == {"parentRef": {"resource": "services", "namespace": "ns", "name": "a"}}


def test_addresses_come_from_the_upper_part_first() -> None:
    small = ServiceRange("a", ip_network("10.0.0.0/28"), True)
    assert sorted(small.candidates(5), key=ip_address) == [f"10.0.0.{n}" for n in range(1, 15)]
    wide = ServiceRange("a", ip_network("10.0.0.0/24"), True)
    found = list(wide.candidates(1000))
    assert len(found) == len(set(found)) == 254
    assert sorted(found[-16:], key=ip_address) == [f"10.0.0.{n}" for n in range(1, 17)]
    six = ServiceRange("a", ip_network("fd00::/64"), True)
    assert ip_address(next(six.candidates(123456))) in six.network


def test_the_network_and_the_broadcast_address_are_nobodys() -> None:
    four, six = (ServiceRange("a", ip_network(text), True) for text in ("10.0.0.0/24", "fd00::/120"))
    unusable = [address for address in ("10.0.0.0", "10.0.0.255") if four.is_usable(ip_address(address))]
    assert not unusable and six.is_usable(ip_address("fd00::ff")) and not six.is_usable(ip_address("fd00::"))


def test_families_are_those_of_the_default_range() -> None:
    assert families_of(DEFAULT) == ("IPv4",)
    both = [ServiceRange("kubernetes", ip_network(text), True) for text in ("fd00::/112", "10.0.0.0/24")]
    assert families_of([*both, ServiceRange("x", ip_network("10.1.0.0/24"), True)]) == ("IPv6", "IPv4")


@pytest.mark.parametrize(("status", "meta", "is_ready"), [
    ({}, {}, True),
    ({"conditions": [{"type": "Ready", "status": "False"}]}, {}, False),
    ({"conditions": [{"type": "Other", "status": "False"}]}, {}, True),
    ({"conditions": [{"type": "Ready", "status": "True"}]}, {"deletionTimestamp": "x"}, False),
])  # fmt: skip
def test_readiness(status: dict[str, object], meta: dict[str, str], is_ready: bool) -> None:
    assert is_ready_range({"metadata": meta, "status": status}) is is_ready
