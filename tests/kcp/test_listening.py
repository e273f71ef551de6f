import socket

import pytest

from kcp.listening import reserve
from kcp.output import Refused


def listen(port: int) -> socket.socket:
    """As a front does: beside the reservation."""
    front = socket.socket()
    front.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    front.bind(("127.0.0.1", port))
    front.listen()
    return front


def test_fronts_share_the_reserved_port_and_get_all_connections() -> None:
    reserved = reserve("127.0.0.1", 0)
    with listen(reserved.port) as one, listen(reserved.port) as other:
        for _ in range(20):
            socket.create_connection(("127.0.0.1", reserved.port)).close()
        one.setblocking(False)
        other.setblocking(False)
        accepted = 0
        for front in (one, other):
            while True:
                try:
                    front.accept()[0].close()
                except BlockingIOError:
                    break
                accepted += 1
        assert accepted == 20
    reserved.close()


def test_a_port_in_use_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Refused, match=rf"^port {port} of 127.0.0.1 is in use by another program$"):
            reserve("127.0.0.1", port)


def test_a_port_that_another_server_of_ours_shares_is_refused() -> None:
    reserved = reserve("127.0.0.1", 0)
    with pytest.raises(Refused, match="is in use"):
        reserve("127.0.0.1", reserved.port)
    with listen(reserved.port):
        reserved.close()
        with pytest.raises(Refused, match="is in use"):
            reserve("127.0.0.1", reserved.port)


def test_a_name_is_looked_up() -> None:
    reserved = reserve("localhost", 0)
    assert reserved.address in ("127.0.0.1", "::1")
    assert reserved.listen == (f"[::1]:{reserved.port}" if reserved.address == "::1" else f"127.0.0.1:{reserved.port}")
    reserved.close()


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(Refused, match=r"^cannot listen on no-such-host\.invalid:6443: "):
        reserve("no-such-host.invalid", 6443)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(Refused, match=r"^cannot listen on 192\.0\.2\.1:6443: Cannot assign requested address$"):
        reserve("192.0.2.1", 6443)
