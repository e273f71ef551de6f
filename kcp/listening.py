"""The address that the fronts share: found, checked to be free, and kept for them while they start and restart."""

import errno
import socket

from kcp.output import Refused
from kcp.programs import join_address


class Reservation:
    """A bound socket that does not listen: connections go to the fronts alone, which bind beside it (SO_REUSEPORT)."""

    def __init__(self, bound: socket.socket, host: str) -> None:
        self._bound = bound
        self.host = host  # as the operator wrote it
        self.address, self.port = bound.getsockname()[:2]

    @property
    def listen(self) -> str:
        """For the fronts: the numeric address."""
        return join_address(self.address, self.port)

    def close(self) -> None:
        self._bound.close()


def reserve(host: str, port: int) -> Reservation:
    """Refuses a name without address, an address that is not this machine's, and a port that somebody serves on."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as fault:
        raise Refused(
            f"cannot listen on {join_address(host, port)}: {getattr(fault, 'strerror', None) or fault}"
        ) from None
    failure: OSError | None = None
    for family, _, _, _, address in found:
        try:
            return Reservation(_bind(family, address), host)
        except OSError as fault:
            failure = failure or fault
    assert failure
    if failure.errno == errno.EADDRINUSE:
        raise Refused(f"port {port} of {host} is in use by another program") from None
    raise Refused(f"cannot listen on {join_address(host, port)}: {failure.strerror}") from None


def _bind(family: int, address: tuple[object, ...]) -> socket.socket:
    # First alone, which fails when anybody listens, even a server that shares its port as we do; a port that only
    # lingers from closed connections does not matter (SO_REUSEADDR).
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        address = probe.getsockname()
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound
