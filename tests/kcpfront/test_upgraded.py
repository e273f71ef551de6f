"""Upgraded connections to an extension API server, through a front and a shard."""

import base64
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

import kcpfront
from kcpfront.embedding import EmbeddedCluster, EmbeddedServer
from kcpfront.upgraded import switching_head
from tests.contracts.extension_server import GROUP, ROOT
from tests.contracts.upgrading_server import FLOOD_BYTES, UpgradingServer, upgrading_server
from tests.contracts.waiting import until

SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"


class Talk:
    """One client's connection, on a bare socket."""

    def __init__(self, cluster: EmbeddedCluster) -> None:
        host, _, self._prefix = cluster.url.removeprefix("https://").partition("/")
        name, _, port = host.partition(":")
        context = ssl.create_default_context(cadata=cluster.authority)
        self._socket = context.wrap_socket(socket.create_connection((name, int(port)), 30), server_hostname=name)
        self._token, self._read = cluster.token, b""

    def close(self) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def ask(self, method: str, path: str, body: bytes = b"", early: bytes = b"", **headers: str) -> tuple[int, str]:
        lines = [f"{method} /{self._prefix}{path} HTTP/1.1", "Host: front", f"Authorization: Bearer {self._token}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(body)}"] if body or method == "POST" else []
        self.send("\r\n".join([*lines, "", ""]).encode() + body + early)
        while b"\r\n\r\n" not in self._read:
            self._receive()
        head, self._read = self._read.split(b"\r\n\r\n", 1)
        return int(head.split()[1]), head.decode()

    def _receive(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise EOFError
        self._read += data

    def take(self, size: int) -> bytes:
        while len(self._read) < size:
            self._receive()
        found, self._read = self._read[:size], self._read[size:]
        return found

    def has_ended(self) -> bool:
        try:
            return not self._read and not self._socket.recv(1)
        except ConnectionError:
            return True


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with kcpfront.embedded() as found:
        yield found


class Served:
    def __init__(self, server: EmbeddedServer, stack: ExitStack) -> None:
        self.cluster = server.create_cluster()
        manager = upgrading_server()
        self.far: UpgradingServer = server.run(manager.__aenter__)
        stack.callback(lambda: server.run(manager.__aexit__, None, None, None))
        bundle = base64.b64encode(self.far.bundle).decode()
        spec = {"group": GROUP, "version": "v1", "groupPriorityMinimum": 2000, "versionPriority": 10}
        url = {"apiregistration.kcp.io/url": f"https://localhost:{self.far.port}"}
        document = {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"v1.{GROUP}", "annotations": url},
            "spec": {**spec, "caBundle": bundle},
        }
        with closing(Talk(self.cluster)) as talk:
            body = json.dumps(document).encode()
            assert talk.ask("POST", SERVICES, body, Content_Type="application/json")[0] == 201
        until(lambda: self.code(ROOT) == 200, "never available")

    def code(self, path: str) -> int:
        with closing(Talk(self.cluster)) as talk:
            return talk.ask("GET", path)[0]


@pytest.fixture(scope="module")
def served(server: EmbeddedServer) -> Iterator[Served]:
    with ExitStack() as stack:
        yield Served(server, stack)


@pytest.fixture
def talk(served: Served) -> Iterator[Talk]:
    with closing(Talk(served.cluster)) as found:
        yield found


def fruit(what: str) -> str:
    return f"{ROOT}/namespaces/default/fruits/apple/{what}"


@pytest.mark.parametrize(("method", "protocol"), [("GET", "websocket"), ("POST", "SPDY/3.1"), ("GET", "own/1")])
def test_bytes_go_both_ways(served: Served, talk: Talk, method: str, protocol: str) -> None:
    code, head = talk.ask(method, fruit("talk"), early=b"first", Connection="Upgrade", Upgrade=protocol)
    assert code == 101
    assert f"\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n" in head
    assert "X-Own: yes" in head and "Cookie" not in head
    assert talk.take(5) == b"FIRST"
    for word in (b"one", b"two" * 100_000, b"bye"):
        talk.send(word)
        assert talk.take(len(word)) == word.upper()
    assert talk.has_ended()


def test_the_server_is_told_who_asks_and_gets_no_credential(served: Served, talk: Talk) -> None:
    served.far.asked.clear()
    token = "base64url.bearer.authorization.k8s.io.c2VjcmV0"
    protocols = {"Sec_WebSocket_Protocol": f"{token}, v4.channel.k8s.io", "Sec_WebSocket_Key": "k"}
    sent = {"Connection": "keep-alive, Upgrade", "Upgrade": "websocket", "X_Remote_User": "somebody", **protocols}
    assert talk.ask("GET", fruit("talk?a=b"), **sent)[0] == 101
    asked = served.far.asked[-1]
    assert asked.line == f"GET {fruit('talk')}?a=b HTTP/1.1"
    assert asked.values("x-remote-user") == ["kcp-admin"]
    assert asked.values("sec-websocket-protocol") == ["v4.channel.k8s.io"]
    assert asked.values("sec-websocket-key") == ["k"]
    assert not asked.values("authorization")
    assert asked.values("connection") == ["Upgrade"] and asked.values("upgrade") == ["websocket"]


def test_what_comes_right_behind_the_head_is_not_lost(talk: Talk) -> None:
    assert talk.ask("GET", fruit("hasty"), Connection="Upgrade", Upgrade="own/1")[0] == 101
    assert talk.take(5) == b"hello"


def test_a_client_that_leaves_ends_the_other_side(served: Served, talk: Talk) -> None:
    assert talk.ask("GET", fruit("talk"), Connection="Upgrade", Upgrade="own/1")[0] == 101
    until(lambda: served.far.open > 0, "not open")
    talk.close()
    until(lambda: served.far.open == 0, "still open")


def test_a_flood_waits_for_its_reader_and_arrives_whole(served: Served, talk: Talk) -> None:
    served.far.sent = 0
    assert talk.ask("GET", fruit("flood"), Connection="Upgrade", Upgrade="own/1")[0] == 101
    until(lambda: served.far.sent > 1 << 19, "nothing comes")
    assert talk.take(FLOOD_BYTES) == b"x" * FLOOD_BYTES
    assert talk.has_ended()


def test_a_refusal_is_an_ordinary_answer(talk: Talk) -> None:
    code, head = talk.ask("GET", fruit("refuse"), Connection="Upgrade", Upgrade="own/1")
    assert code == 403 and "application/json" in head
    assert talk.take(22) == b'{"message": "not you"}'
    assert talk.has_ended()


def test_a_server_that_does_not_upgrade_is_told_of(talk: Talk) -> None:
    assert talk.ask("GET", fruit("plain"), Connection="Upgrade", Upgrade="own/1")[0] == 503


@pytest.mark.parametrize("headers", [{}, {"Upgrade": "own/1"}, {"Connection": "Upgrade"}])
def test_nothing_is_upgraded_that_nobody_asked_for(talk: Talk, headers: dict[str, str]) -> None:
    assert talk.ask("GET", fruit("uninvited"), **headers)[0] == 502


def test_requests_of_ours_are_not_upgraded(talk: Talk) -> None:
    code, _ = talk.ask("GET", "/api/v1/namespaces", Connection="Upgrade", Upgrade="own/1")
    assert code == 200


def test_heads_name_a_connection_once() -> None:
    told = [("Connection", "x"), ("Upgrade", "y"), ("X-Own", "z")]
    wanted = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: own/1\r\nX-Own: z\r\n\r\n"
    assert switching_head("own/1", told) == wanted


def test_a_server_that_stops_ends_its_connections() -> None:
    with ExitStack() as stack, kcpfront.embedded() as server:
        served = Served(server, stack)
        with closing(Talk(served.cluster)) as talk:
            assert talk.ask("GET", fruit("talk"), Connection="Upgrade", Upgrade="own/1")[0] == 101
            stack.close()
            server.stop()
            assert talk.has_ended()
