from typing import Any

import pytest

from kcpshard.definitions.kinds.network_warnings import (
    address_warnings,
    endpoints_warnings,
    ingress_warnings,
    network_warnings,
    node_warnings,
    policy_warnings,
    slice_warnings,
    type_warnings,
)

CANONICAL = 'p: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")'

AMBIGUOUS = 'p: CIDR value "10.0.0.1/8" is ambiguous in this context (should be "10.0.0.0/8" or "10.0.0.1/32"?)'


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        ("10.0.0.1", []),
        ("2001:db8::1", []),
        ("2001:DB8::1", [CANONICAL]),
        ("010.0.0.1", ['p: non-standard IP address "010.0.0.1" is invalid: use "10.0.0.1"']),
        ("::ffff:10.0.0.1", ['p: non-standard IP address "::ffff:10.0.0.1" is invalid: use "10.0.0.1"']),
        ("no address", []),
    ],
)
def test_addresses_that_not_everybody_reads_alike(text: str, warned: list[str]) -> None:
    assert list(address_warnings("p", text)) == warned


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        ("10.0.0.0/8", []),
        ("10.0.0.1/8", [AMBIGUOUS]),
        ("10.0.0.0/08", ['p: non-standard CIDR value "10.0.0.0/08" is invalid: use "10.0.0.0/8"']),
        ("::FF/128", ['p: IPv6 CIDR value "::FF/128" should be in RFC 5952 canonical format ("::ff/128")']),
        ("::ffff:10.0.0.0/104", ['p: non-standard CIDR value "::ffff:10.0.0.0/104" is invalid: use "10.0.0.0/8"']),
        ("10.0.0.0/99", []),
    ],
)  # fmt: skip
def test_networks_that_not_everybody_reads_alike(text: str, warned: list[str]) -> None:
    assert list(network_warnings("p", text)) == warned


def test_each_kind_says_where() -> None:
    block = {"cidr": "10.0.0.0/8", "except": ["10.1.0.1/16"]}
    policy = {"spec": {"egress": [{"to": [{"podSelector": {}}, {"ipBlock": block}]}]}}
    assert [text.partition(":")[0] for text in policy_warnings(policy)] == ["spec.egress[0].to[1].ipBlock.except[0]"]
    endpoints: dict[str, Any] = {"metadata": {}, "subsets": [{"notReadyAddresses": [{"ip": "01.2.3.4"}]}]}
    assert [text.partition(":")[0] for text in endpoints_warnings(endpoints)] == ["subsets[0].notReadyAddresses[0].ip"]
    endpoints["metadata"] = {"labels": {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}}
    assert list(endpoints_warnings(endpoints)) == []
    found = {"metadata": {}, "addressType": "FQDN", "endpoints": [{"addresses": ["2001:DB8::1"]}]}
    assert [text.partition(":")[0] for text in slice_warnings(found)] == ["endpoints[0].addresses[0]"]
    assert list(type_warnings(found)) == ["spec.addressType: FQDN endpoints are deprecated"]
    node = {"spec": {"externalID": "x", "configSource": {}, "podCIDRs": ["10.0.0.1/8"]}}
    assert [text.partition(":")[0] for text in node_warnings(node)] == [
        "spec.configSource", "spec.externalID", "spec.podCIDRs[0]",
    ]  # fmt: skip


def test_the_annotation_of_an_ingress_is_no_news_beside_the_class() -> None:
    ingress: dict[str, Any] = {"metadata": {"annotations": {"kubernetes.io/ingress.class": "x"}}, "spec": {}}
    assert len(list(ingress_warnings(ingress))) == 1
    ingress["spec"]["ingressClassName"] = "x"
    assert list(ingress_warnings(ingress)) == []
