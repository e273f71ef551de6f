"""From a client of a logical cluster into a pod: front, shard, agent, and a server in the physical cluster's place."""

import asyncio
import contextlib
import http.client
import json
import socket
import ssl
import tempfile
from collections.abc import Iterator
from typing import Any

import grpc.aio
import pytest

import kcpfront
from kcpfront.embedding import EmbeddedCluster, EmbeddedServer
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.transport import CHANNEL_OPTIONS, listen
from kcpsyncer.kube_client import KubeClient
from kcpsyncer.namespace_mapping import Origin
from kcpsyncer.placed_objects import namespace_object
from kcpsyncer.tunnels import Tunnels
from tests.contracts.pod_server import PodServer, pod_server

UID = "uid-of-east"
PODS = "/api/v1/namespaces/default/pods"


class Link:
    """An agent for the physical cluster in the server's loop, asked by the shard without a Sync stream."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server
        self._stack = contextlib.AsyncExitStack()
        self.pods: PodServer
        self.tunnels: Tunnels
        self.is_connected = True

    async def open(self) -> None:
        shard = self._server._shard
        assert shard is not None
        enter = self._stack.enter_async_context
        self.pods = await enter(pod_server())
        address = f"unix:{self._stack.enter_context(tempfile.TemporaryDirectory(dir='/tmp'))}/s"
        listener = grpc.aio.server()
        shard.connections.add_tunnels_to(listener)
        listen(listener, address)
        await listener.start()
        self._stack.push_async_callback(listener.stop, None)
        channel = await enter(grpc.aio.insecure_channel(address, CHANNEL_OPTIONS))
        tasks = await enter(asyncio.TaskGroup())
        downstream = await enter(KubeClient(self.pods.access))
        self.tunnels = Tunnels("east", UID, downstream, tasks)

        def send(uid: str, opening: pb.OpenTunnel) -> bool:
            if self.is_connected and uid == UID:
                self.tunnels.open(channel, opening)
                return True
            return False

        shard._shard.tunnels.send = send

    async def close(self) -> None:
        await self._stack.aclose()

    async def until_closed(self) -> None:
        async with asyncio.timeout(20):
            while self.tunnels.count:
                await asyncio.sleep(0.01)


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with kcpfront.embedded(api_set="full") as found:
        yield found


@pytest.fixture(scope="module")
def link(server: EmbeddedServer) -> Iterator[Link]:
    made = Link(server)
    server.run(made.open)
    yield made
    server.run(made.close)


@pytest.fixture
def cluster(server: EmbeddedServer, link: Link) -> EmbeddedCluster:
    """With a pod `web` on east, whose namespace the agent has made there."""
    made = server.create_cluster()
    ask(made, "POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
    place(made, "web")
    incarnation = ask(made, "GET", "/api/v1/namespaces/default")[1]["metadata"]["uid"]
    below = namespace_object(Origin(made.path, incarnation), "default", UID)
    link.pods.namespaces = {below["metadata"]["name"]: below}
    link.pods.heads.clear()
    link.pods.refusal, link.is_connected = 0, True
    return made


def place(cluster: EmbeddedCluster, name: str) -> None:
    meta = {"name": name, "labels": {"kcp.dev/cluster": "east", "kcp.dev/syncer": UID}}
    spec = {"containers": [{"name": "a", "image": "x"}], "nodeName": "n", "automountServiceAccountToken": False}
    code, made = ask(cluster, "POST", PODS, {"metadata": meta, "spec": spec})
    assert code == 201, made


def connection(cluster: EmbeddedCluster) -> http.client.HTTPSConnection:
    host = cluster.url.removeprefix("https://").partition("/")[0]
    return http.client.HTTPSConnection(host, context=ssl.create_default_context(cadata=cluster.authority), timeout=30)


def ask(cluster: EmbeddedCluster, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
    made = connection(cluster)
    headers = {"Authorization": f"Bearer {token or cluster.token}", "Content-Type": "application/json"}
    made.request(method, f"/clusters/{cluster.path}{path}", json.dumps(body) if body else None, headers)
    response = made.getresponse()
    text = response.read()
    made.close()
    return response.status, json.loads(text) if text[:1] == b"{" else text


def upgraded(cluster: EmbeddedCluster, path: str, method: str = "GET") -> tuple[bytes, socket.socket]:
    """The head of the answer, and what is left of the connection."""
    made = connection(cluster)
    made.connect()
    made.sock.sendall(
        f"{method} /clusters/{cluster.path}{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {cluster.token}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n".encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        piece = made.sock.recv(65536)
        assert piece, head
        head += piece
    return head, made.sock


def test_a_log_comes_from_the_cluster_that_runs_the_pod(cluster: EmbeddedCluster, link: Link) -> None:
    assert ask(cluster, "GET", f"{PODS}/web/log?container=a&tailLines=2") == (200, b"one\ntwo\n")
    method, target, headers = link.pods.heads[-1]
    (below,) = link.pods.namespaces
    assert (method, target.partition("?")[0]) == ("GET", f"/api/v1/namespaces/{below}/pods/web/log")
    assert link.pods.query() == {"container": ["a"], "tailLines": ["2"]}
    assert headers["authorization"] == "Bearer secret-of-the-agent"
    assert not [name for name in headers if "impersonate" in name or "remote" in name]
    link._server.run(link.until_closed)


def test_exec_is_a_way_both_ways(cluster: EmbeddedCluster, link: Link) -> None:
    head, wire = upgraded(cluster, f"{PODS}/web/exec?command=echo&command=a%20b&stdin=true&container=a")
    assert head.startswith(b"HTTP/1.1 101 ") and b"X-Secret" not in head
    assert link.pods.query() == {"command": ["echo", "a b"], "stdin": ["true"], "container": ["a"]}
    wire.sendall(b"x" * 300_000)
    got = 0
    while got < 300_000:
        got += len(wire.recv(65536))
    wire.sendall(b"bye")
    assert wire.recv(1) == b"", "the end of the other side is ours"
    wire.close()
    link._server.run(link.until_closed)


def test_a_client_that_leaves_takes_its_tunnel_along(cluster: EmbeddedCluster, link: Link) -> None:
    _, wire = upgraded(cluster, f"{PODS}/web/portforward?ports=80", "POST")
    assert link.tunnels.count == 1
    wire.close()
    link._server.run(link.until_closed)


def test_rights_are_judged_above(cluster: EmbeddedCluster, link: Link) -> None:
    namespace = "/api/v1/namespaces/default"
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    _, answer = ask(cluster, "POST", f"{namespace}/serviceaccounts/default/token", {"kind": "TokenRequest", "spec": {}})
    token = answer["status"]["token"]
    assert ask(cluster, "GET", f"{PODS}/web/log", token=token)[0] == 403
    rules = [{"apiGroups": [""], "resources": ["pods/log", "pods/exec"], "verbs": ["get"]}]
    assert ask(cluster, "POST", f"{rbac}/roles", {"metadata": {"name": "r"}, "rules": rules})[0] == 201
    subjects = [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}]
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
    ask(cluster, "POST", f"{rbac}/rolebindings", {"metadata": {"name": "r"}, "subjects": subjects, "roleRef": ref})
    assert ask(cluster, "GET", f"{PODS}/web/log", token=token)[0] == 200
    asked = len(link.pods.heads)
    code, told = ask(cluster, "GET", f"{PODS}/web/exec?command=sh", token=token)
    assert (code, "pods/exec" in told["message"]) == (403, True), "to read is not enough for going in"
    assert len(link.pods.heads) == asked


def test_another_tenants_pod_cannot_be_named(cluster: EmbeddedCluster, server: EmbeddedServer, link: Link) -> None:
    thief = server.create_cluster()
    ask(thief, "POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
    place(thief, "web")
    code, told = ask(thief, "GET", f"{PODS}/web/log")
    assert (code, told["reason"]) == (404, "NotFound")
    assert all("/pods/" not in target for _, target, _ in link.pods.heads)


def test_a_cluster_that_is_away_or_refuses_us(cluster: EmbeddedCluster, link: Link) -> None:
    link.pods.refusal = 403
    code, told = ask(cluster, "GET", f"{PODS}/web/log")
    assert (code, told["message"]) == (503, "the agent of the cluster east may not use pods/log there")
    link.pods.refusal = 400
    assert ask(cluster, "GET", f"{PODS}/web/log")[1]["message"] == "says the cluster"
    link.is_connected = False
    code, told = ask(cluster, "GET", f"{PODS}/web/log")
    assert (code, told["message"]) == (503, "the cluster east, where the pod runs, is not connected")
