"""Which addresses a tenant may have a shard call. Pure: an address in, a verdict out.

Refused is whatever is not a public unicast address, and what belongs to this machine; an operator opens ranges with
`--callout-allow`. An IPv6 address that carries an IPv4 address (mapped, 6to4, NAT64, Teredo) is judged as both.
"""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NAT64 = IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = IPv6Network("64:ff9b:1::/48")


def is_own(address: Address) -> bool:
    """Whether the address is one of this machine's: only then can a socket be bound to it. No packet is sent."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with closing(socket.socket(family, socket.SOCK_DGRAM)) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return True


class AddressPolicy:
    """`allowed` are ranges that an operator has opened to every tenant."""

    def __init__(self, allowed: Sequence[Network] = (), own: Callable[[Address], bool] = is_own) -> None:
        self._allowed, self._own = allowed, own

    def refuses(self, text: str) -> str:
        """Why the address may not be called, "" if it may. `text` is an address as a resolver gives it."""
        try:
            address = ip_address(text.partition("%")[0])
        except ValueError:
            return f"{text} is not an address"
        for meant in _meanings(address):
            if any(meant in network for network in self._allowed if network.version == meant.version):
                continue
            if reason := _kind(meant):
                return f"{text} is {reason}"
            if self._own(meant):
                return f"{text} is an address of this server"
        return ""


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """CIDRs as an operator writes them; raises ValueError with a sentence."""
    found = []
    for text in texts:
        try:
            found.append(ip_network(text))
        except ValueError as error:
            raise ValueError(f"{text!r} is not a range of addresses: {error}") from None
    return tuple(found)


def _meanings(address: Address) -> Iterator[Address]:
    """The addresses that packets may end up at. A mapped one is nothing but the IPv4 address."""
    if isinstance(address, IPv4Address):
        yield address
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
        return
    yield address
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _NAT64 or int(address) >> 32 == 0:
        yield IPv4Address(int(address) & 0xFFFFFFFF)


def _kind(address: Address) -> str:
    if address.is_unspecified:
        return "not a destination"
    if address.is_loopback:
        return "a loopback address"
    if address.is_link_local:
        return "a link-local address"
    if address.is_multicast:
        return "a multicast address"
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return ""  # what it carries decides
        if address.is_site_local or address in _NAT64_LOCAL:
            return "a private address"
    return "" if address.is_global else "a private address"
