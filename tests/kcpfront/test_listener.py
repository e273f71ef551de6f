import asyncio
import socket

import pytest

from kcpfront import listener
from kcpfront.listener import ListenError, bind
from kcpfront.server import Front
from tests.kcpfront.fake_router import FakeRouter
from tests.kcpfront.http_client import HttpClient


def test_an_occupied_port_is_one_sentence() -> None:
    first = bind("127.0.0.1", 0, False, 5)
    port = first.getsockname()[1]
    with pytest.raises(ListenError, match=f"^cannot listen on 127.0.0.1:{port}: Address already in use$"):
        bind("127.0.0.1", port, False, 5)
    first.close()


def test_fronts_may_share_a_port() -> None:
    first = bind("127.0.0.1", 0, True, 5)
    second = bind("127.0.0.1", first.getsockname()[1], True, 5)
    second.close()
    first.close()


def test_a_name_that_does_not_resolve() -> None:
    with pytest.raises(ListenError, match=r"cannot listen on no\.such\.host\.invalid:0"):
        bind("no.such.host.invalid", 0, False, 5)


def test_dead_clients_are_looked_for() -> None:
    made = bind("127.0.0.1", 0, False, 5)
    assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    made.close()


async def test_without_descriptors_connections_wait(
    client: HttpClient, front: Front, router: FakeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = False
    monkeypatch.setattr(listener, "_descriptors_left", lambda reserve: left)
    object.__setattr__(front.settings, "accept_pause_s", 0.01)
    router.objects["a"] = {"a": 1}
    target = "/api/v1/namespaces/default/configmaps/a"
    assert (await client.get(target)).code == 200  # the connection that found it out is served
    assert front.metrics.accept_pauses == 1
    assert b"file-descriptors failed" in (await client.get("/readyz")).body
    late = HttpClient(client.host, client.port, client.token)
    waiting = asyncio.ensure_future(late.get(target))  # noqa: TID251
    await asyncio.sleep(0.1)
    assert not waiting.done()
    left = True
    assert (await waiting).code == 200
    assert (await client.get("/readyz")).code == 200
    late.close()


def test_the_lowest_free_descriptor_tells() -> None:
    assert listener._descriptors_left(1)
    assert not listener._descriptors_left(10**9)
