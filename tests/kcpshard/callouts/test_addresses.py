from ipaddress import ip_address

import pytest

from kcpshard.callouts.addresses import AddressPolicy, is_own, parse_networks

NOT_OURS = AddressPolicy(own=lambda _address: False)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1", "a loopback address"),
        ("127.255.255.254", "a loopback address"),
        ("::1", "a loopback address"),
        ("169.254.169.254", "a link-local address"),
        ("fe80::1%eth0", "a link-local address"),
        ("10.0.0.1", "a private address"),
        ("172.16.0.1", "a private address"),
        ("192.168.1.1", "a private address"),
        ("100.64.0.1", "a private address"),
        ("192.0.2.1", "a private address"),
        ("240.0.0.1", "a private address"),
        ("255.255.255.255", "a private address"),
        ("fd00::1", "a private address"),
        ("fec0::1", "a private address"),
        ("64:ff9b:1::808:808", "a private address"),
        ("224.0.0.1", "a multicast address"),
        ("ff02::1", "a multicast address"),
        ("0.0.0.0", "not a destination"),
        ("::", "not a destination"),
        pytest.param("::ffff:127.0.0.1", "a loopback address", id="mapped"),
        pytest.param("::ffff:a9fe:a9fe", "a link-local address", id="mapped in hexadecimal"),
        pytest.param("::7f00:1", "a loopback address", id="compatible"),
        pytest.param("2002:7f00:1::1", "a loopback address", id="6to4"),
        pytest.param("64:ff9b::a9fe:a9fe", "a link-local address", id="NAT64"),
        pytest.param("2001:0:a9fe:a9fe::1", "a private address", id="Teredo"),
        ("example.com", "not an address"),
    ],
)
def test_refused(address: str, reason: str) -> None:
    found = NOT_OURS.refuses(address)
    assert found.endswith(reason), found


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_may_be_called(address: str) -> None:
    assert NOT_OURS.refuses(address) == ""


def test_what_belongs_to_this_machine_may_not() -> None:
    assert AddressPolicy(own=lambda address: str(address) == "8.8.8.8").refuses("8.8.8.8").endswith("of this server")
    assert is_own(ip_address("127.0.0.1"))
    assert not is_own(ip_address("192.0.2.1"))


def test_an_operator_opens_ranges() -> None:
    policy = AddressPolicy(parse_networks(["10.1.0.0/16", "fd00::/8"]), own=lambda _address: True)
    assert policy.refuses("10.1.2.3") == policy.refuses("::ffff:10.1.2.3") == policy.refuses("fd00::1") == ""
    assert policy.refuses("10.2.0.1")


def test_ranges_are_checked() -> None:
    with pytest.raises(ValueError, match=r"'10\.0\.0\.1/8' is not a range of addresses"):
        parse_networks(["10.0.0.1/8"])
