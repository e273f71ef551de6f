"""An agent is asked, and calls back with the ticket; whoever waits for one that is away is told."""

import asyncio

import orjson
import pytest

from kcpshard.api.errors import ServiceUnavailable
from kcpshard.connections import agent_tunnels
from kcpshard.connections.agent_tunnels import AgentTunnels, Pod, PodWay
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.connection_stream import PieceStream

POD = Pod("uid-1", "east", "root:a", "inc-1", "default", "web", "log")


class Wire:
    """A stream whose other end is the test."""

    def __init__(self, *answers: pb.ConnectPiece) -> None:
        self.sent: list[pb.ConnectPiece] = []
        self._answers = [each.SerializeToString() for each in answers]

    async def write(self, message: bytes) -> None:
        self.sent.append(pb.ConnectPiece.FromString(message))

    async def read(self) -> bytes:
        if not self._answers:
            await asyncio.Event().wait()
        return self._answers.pop(0)


def calling(tunnels: AgentTunnels, wire: Wire) -> list[pb.OpenTunnel]:
    """An agent of the Cluster uid-1, which calls back at once."""
    asked: list[pb.OpenTunnel] = []

    def send(uid: str, opening: pb.OpenTunnel) -> bool:
        asked.append(opening)
        return uid == "uid-1" and tunnels.arrived(opening.ticket, PieceStream(wire))

    tunnels.send = send
    return asked


async def test_the_agent_is_told_which_pod_and_gets_the_options_as_admitted() -> None:
    tunnels, wire = AgentTunnels(), Wire(pb.ConnectPiece(head=b'{"code":200,"headers":[]}'))
    asked = calling(tunnels, wire)
    way = PodWay(tunnels, POD, [("container", "a")])
    found = await way.open(b'{"method":"GET","headers":[["Accept","*/*"]],"query":[["container","forged"]]}')
    assert found.head == b'{"code":200,"headers":[]}'
    assert (asked[0].cluster, asked[0].incarnation, asked[0].namespace, asked[0].name) == POD[2:6]
    assert orjson.loads(wire.sent[0].head) == {
        "method": "GET",
        "headers": [["Accept", "*/*"]],
        "query": [["container", "a"]],
    }
    assert not tunnels.arrived(asked[0].ticket, PieceStream(wire)), "a ticket is used once"


async def test_a_cluster_that_is_not_connected_or_does_not_call_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_tunnels, "ARRIVAL_S", 0.01)
    tunnels = AgentTunnels()
    for send in (lambda *_: False, lambda *_: True):
        tunnels.send = send
        with pytest.raises(ServiceUnavailable, match="the cluster east, where the pod runs, is not connected"):
            await tunnels.open(POD, b"{}")


async def test_a_cluster_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_tunnels, "ANSWER_S", 0.01)
    tunnels = AgentTunnels()
    calling(tunnels, Wire())
    with pytest.raises(ServiceUnavailable, match="the cluster east does not answer"):
        await tunnels.open(POD, b"{}")
