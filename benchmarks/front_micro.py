"""What the front costs by itself, on a router that answers from memory.

    python benchmarks/front_micro.py              everything
    python benchmarks/front_micro.py --serve DIR  a front on that router; prints its port (started by the first form)

CPU microseconds per request: first of the handler chain alone, then of a front process over TLS as the kernel counts
them (32 connections, keep-alive); then what an idle watch over TLS holds in memory (Pss), and costs to open.
"""

import asyncio
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parent.parent))

from kcpfront.allocator import map_large_buffers
from kcpfront.credential_files import CredentialFiles
from kcpfront.handler_chain import HandlerChain
from kcpfront.listener import raise_descriptor_limit
from kcpfront.server import Front
from kcpshard.api.requests import ListInfo
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import ListStream, Result, Upgraded, WatchHandle, WatchSink
from tests.kcpfront.exchanges import exchange
from tests.kcpfront.fake_router import FakeListStream
from tests.kcpfront.tls_files import Authority

OBJECT = b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"data":{"k":"' + b"x" * 900 + b'"}}'
ITEMS = b",".join([OBJECT] * 500)
PATH = "/clusters/root:a/api/v1/namespaces/default/configmaps"
HEADERS = {
    "User-Agent": "kubectl/v1.36.3 (linux/amd64) kubernetes/abc",
    "Accept": "application/json",
    "Authorization": "Bearer t0ken",
    "Accept-Encoding": "identity",
}
CONNECTIONS, REQUESTS, WATCHES = 32, 20_000, 2_000


class IdleWatch:
    __slots__ = ("sink",)
    revision, columns, kind = 0, b"", "ConfigMap"

    def __init__(self, sink: WatchSink) -> None:
        self.sink = sink

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def close(self) -> None: ...


class MemoryRouter:
    """Answers one loop turn later, as a router with a shard behind it at best does."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._result = Result(200, OBJECT)
        self._info = ListInfo(1_700_000_000_000_000_001, "", -1, "v1", "ConfigMapList")

    def call(self, request: pb.Request, deadline: float) -> Awaitable[Result]:
        answer: asyncio.Future[Result] = self._loop.create_future()
        self._loop.call_soon(self._give, answer)
        return answer

    def _give(self, answer: "asyncio.Future[Result]") -> None:
        if not answer.done():
            answer.set_result(self._result)

    async def connect(self, request: pb.Request, deadline: float) -> Upgraded | Result:
        raise NotImplementedError

    async def list(self, request: pb.Request, deadline: float) -> ListStream | Result:
        return FakeListStream([ITEMS], self._info)

    def watch(self, start: pb.StartWatch, sink: WatchSink) -> WatchHandle:
        self._loop.call_soon(sink.started)
        return IdleWatch(sink)


def make_front(directory: Path) -> Front:
    router = MemoryRouter()
    return Front(router, router, CredentialFiles(directory, directory / "tokens.csv"))


async def serve(directory: Path) -> None:
    print(await make_front(directory).start("127.0.0.1", 0), flush=True)
    await asyncio.Event().wait()


def say(what: str, figure: float, unit: str) -> None:
    print(f"{what:60} {figure:9.1f} {unit}", flush=True)


# --- the chain alone


async def chain_costs(directory: Path) -> None:
    front = make_front(directory)
    chain = front._edge.handle
    assert isinstance(getattr(chain, "__self__", None), HandlerChain) and chain is not None
    cases: list[tuple[str, int, Callable[[], Awaitable[object]]]] = [
        ("chain: get", 20_000, lambda: chain(exchange(PATH + "/a", headers=HEADERS))),
        ("chain: list of 500", 2_000, lambda: chain(exchange(PATH, headers=HEADERS))),
        ("chain: create", 10_000, lambda: chain(exchange(PATH, "POST", HEADERS, OBJECT))),
        ("chain: table of one", 5_000, lambda: chain(exchange(PATH + "/a", headers=HEADERS | {"Accept": TABLE}))),
        ("(making the exchange itself)", 20_000, _nothing),
    ]
    for name, times, ask in cases:
        began = time.process_time()
        for _ in range(times):
            await ask()
        say(name, (time.process_time() - began) / times * 1e6, "µs")
    await front.stop()


TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


async def _nothing() -> None:
    exchange(PATH + "/a", headers=HEADERS)


# --- over TLS


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pss_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise OSError("no Pss in smaps_rollup")


def request_bytes(target: str) -> bytes:
    lines = [f"GET {target} HTTP/1.1", "Host: front", *(f"{name}: {value}" for name, value in HEADERS.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Asker(asyncio.Protocol):
    """Asks again as soon as it has been answered, until `left` is used up by all."""

    left = 0

    def __init__(self, request: bytes, done: asyncio.Event) -> None:
        self._request, self._done, self._need = request, done, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport) or hasattr(transport, "write")
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment]
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._need <= 0:
            end = data.index(b"\r\n\r\n") + 4
            at = data.index(b"Content-Length: ") + 16
            self._need = end + int(data[at : data.index(b"\r\n", at)])
        self._need -= len(data)
        if self._need <= 0:
            Asker.left -= 1
            if Asker.left <= 0:
                self._done.set()
            else:
                self._transport.write(self._request)


async def tls_cost(port: int, pid: int, name: str, target: str, requests: int, context: ssl.SSLContext) -> None:
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    Asker.left = 1 << 40  # asking begins as soon as a connection is open; counting, when all are
    made = []
    for _ in range(CONNECTIONS):
        made.append(
            await loop.create_connection(lambda: Asker(request_bytes(target), done), "127.0.0.1", port, ssl=context)
        )
    Asker.left, before = requests, cpu_seconds(pid)
    await done.wait()
    say(name, (cpu_seconds(pid) - before) / requests * 1e6, "µs")
    for transport, _ in made:
        transport.close()


class Watching(asyncio.Protocol):
    def __init__(self, answered: asyncio.Future[None]) -> None:
        self._answered = answered

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(request_bytes(PATH + "?watch=1&resourceVersion=5"))  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        if not self._answered.done():
            self._answered.set_result(None)


async def watch_cost(port: int, pid: int, context: ssl.SSLContext) -> None:
    loop = asyncio.get_running_loop()

    async def one() -> None:
        answered: asyncio.Future[None] = loop.create_future()
        kept.append(await loop.create_connection(lambda: Watching(answered), "127.0.0.1", port, ssl=context))
        await answered

    kept: list[object] = []
    for _ in range(50):
        await one()
    memory, cpu = pss_kb(pid), cpu_seconds(pid)
    for _ in range(WATCHES):
        await one()
    await asyncio.sleep(1)
    say("idle watch over TLS", (pss_kb(pid) - memory) / WATCHES, "kB")
    say("opening a watch with its connection", (cpu_seconds(pid) - cpu) / WATCHES * 1e6, "µs")


async def main(directory: Path) -> None:
    authority = Authority("bench")
    authority.issue(directory / "serving.crt", directory / "serving.key", "server")
    (directory / "tokens.csv").write_text("t0ken,ada,1\n")
    await chain_costs(directory)
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    with subprocess.Popen([sys.executable, __file__, "--serve", str(directory)], stdout=subprocess.PIPE) as served:
        assert served.stdout is not None
        port = int(served.stdout.readline())
        await tls_cost(port, served.pid, "front over TLS: get", PATH + "/a", REQUESTS, context)
        await tls_cost(port, served.pid, "front over TLS: list of 500", PATH, REQUESTS // 10, context)
        await watch_cost(port, served.pid, context)
        served.terminate()


if __name__ == "__main__":
    raise_descriptor_limit()
    if sys.argv[1:2] == ["--serve"]:
        map_large_buffers()
        uvloop.run(serve(Path(sys.argv[2])))
    else:
        with tempfile.TemporaryDirectory() as made:
            uvloop.run(main(Path(made)))
