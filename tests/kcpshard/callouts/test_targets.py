import base64

import pytest

from kcpshard.callouts.errors import InvalidTarget
from kcpshard.callouts.targets import ClientConfig, ServiceReference, client_config, target


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "authority"),
    [
        ("https://example.com", "example.com", 443, "/", "example.com"),
        ("https://Example.COM:8443/a/b", "example.com", 8443, "/a/b", "example.com:8443"),
        ("https://[2001:db8::1]:1/x", "2001:db8::1", 1, "/x", "[2001:db8::1]:1"),
        ("https://example.com/a b", "example.com", 443, "/a%20b", "example.com"),
        ("https://bücher.example/", "xn--bcher-kva.example", 443, "/", "xn--bcher-kva.example"),
    ],
)
def test_urls(url: str, host: str, port: int, path: str, authority: str) -> None:
    found = target(ClientConfig(url))
    assert (found.host, found.port, found.path, found.authority) == (host, port, path, authority)


@pytest.mark.parametrize(
    "url", ["https://[fe80::1%25eth0]/", "https://a%2fb/", "https://a\\b/", "https://a/?q", "ftp://a"]
)
def test_what_is_no_target(url: str) -> None:
    with pytest.raises(InvalidTarget):
        target(ClientConfig(url))


def test_a_service() -> None:
    found = target(ClientConfig("", ServiceReference("ns", "svc", "convert", 8443)))
    assert (found.host, found.authority, found.path) == ("svc.ns.svc", "svc.ns.svc:8443", "/convert")


def test_what_objects_say() -> None:
    bundle = base64.b64encode(b"PEM").decode()
    service = {"namespace": "ns", "name": "svc", "path": "/p", "port": 9}
    assert client_config({"service": service, "caBundle": bundle}) == ClientConfig(
        "", ServiceReference("ns", "svc", "/p", 9), b"PEM"
    )
    assert client_config({"url": "https://a", "caBundle": base64.b64encode(b" \n").decode()}) == ClientConfig(
        "https://a"
    )
    with pytest.raises(InvalidTarget):
        client_config({"url": "https://a", "caBundle": "%"})
