"""The ranges that Services' addresses come from, and the IPAddress objects that say which are taken. Pure."""

from ipaddress import IPv4Network, ip_address

from kcpshard.api.objects import Object

DEFAULT_CIDR = "kubernetes"
DEFAULT_RANGE = IPv4Network("10.96.0.0/16")
KUBERNETES = str(DEFAULT_RANGE[1])  # of the Service `kubernetes` in `default`
ADDRESSES = "ipaddresses.networking.k8s.io"


def address_object(address: str, namespace: str, service: str) -> Object:
    """The IPAddress of a Service's address, but for its metadata by the server."""
    labels = {
        "ipaddress.kubernetes.io/ip-family": f"IPv{ip_address(address).version}",
        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IPAddress",
        "metadata": {"name": address, "labels": labels},
        "spec": {"parentRef": {"resource": "services", "namespace": namespace, "name": service}},
    }
