"""The load generator: a process of its own that keeps N connections busy and reports counts and latencies.

A request is bytes prepared beforehand; an answer is read only as far as its end and status. So the generator costs
about a tenth of what it measures and is itself left out of every cost figure.

usage: python -m benchmarks.load SPEC.json    (see `Spec`; the result goes to standard output as JSON)
"""

import asyncio
import contextlib
import json
import random
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from benchmarks import gadgets

PAD = "x" * 900  # makes a ConfigMap of about 1 kB


@dataclass
class Spec:
    host: str
    port: int
    token: str
    authority: str
    operation: str  # get, list, create, update, patch, apply, delete, populate, create in order
    tenants: list[tuple[str, str]]  # (URL prefix, namespace)
    objects: int = 100  # objects a tenant
    requests: int = 0  # stop after so many …
    seconds: float = 0  # … or after so long
    connections: int = 32
    limit: int = 500  # of a list
    seed: int = 1
    writes_per_s: float = 0  # updates at random beside the measured requests, on a connection of their own
    batch: str = "b"  # name part of created objects, so that rounds do not collide
    kind: str = "ConfigMap"  # or the custom type of `gadgets`


@dataclass
class Outcome:
    requests: int = 0
    seconds: float = 0.0
    codes: dict[str, int] = field(default_factory=dict)
    latencies_ms: dict[str, float] = field(default_factory=dict)
    bytes: int = 0
    writer_requests: int = 0


class Connection(asyncio.Protocol):
    """One HTTP/1.1 keep-alive connection; one request at a time."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.waiter: asyncio.Future[tuple[int, int]] | None = None
        self.closed: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = error or ConnectionResetError("closed by the server")
        if self.waiter and not self.waiter.done():
            self.waiter.set_exception(self.closed)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.complete()
        if end and self.waiter and not self.waiter.done():
            code = int(self.buffer[9:12])
            self.buffer.clear()
            self.waiter.set_result((code, end))

    def complete(self) -> int:
        """The answer's length once all of it is here, else 0."""
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return 0
        headers = bytes(self.buffer[:head]).lower()
        at = headers.find(b"\r\ncontent-length:")
        if at >= 0:
            stop = headers.find(b"\r\n", at + 2)
            length = int(headers[at + 17 : stop if stop > 0 else None])
            return head + 4 + length if len(self.buffer) >= head + 4 + length else 0
        if b"transfer-encoding: chunked" in headers:
            return len(self.buffer) if self.buffer.endswith(b"0\r\n\r\n") else 0
        return head + 4

    def ask(self, data: bytes) -> "asyncio.Future[tuple[int, int]]":
        if self.closed:
            raise self.closed
        self.waiter = asyncio.get_running_loop().create_future()
        self.transport.write(data)
        return self.waiter


class Requests:
    """The byte strings to send, in random order over tenants and objects."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.random, self.serial = spec, random.Random(spec.seed), 0
        self.headers = f"Host: {spec.host}\r\nAuthorization: Bearer {spec.token}\r\nAccept: application/json\r\n"

    def encode(self, method: str, path: str, body: bytes = b"", content_type: str = "application/json") -> bytes:
        head = f"{method} {path} HTTP/1.1\r\n{self.headers}"
        if body:
            head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        return head.encode() + b"\r\n" + body

    def collection(self, tenant: tuple[str, str]) -> str:
        if self.spec.kind == gadgets.KIND:
            return f"{tenant[0]}/apis/{gadgets.API_VERSION}/namespaces/{tenant[1]}/{gadgets.PLURAL}"
        return f"{tenant[0]}/api/v1/namespaces/{tenant[1]}/configmaps"

    def body(self, name: str, value: str) -> bytes:
        if self.spec.kind == gadgets.KIND:
            return gadgets.encoded(name, value)
        document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"bench": "yes"}}}
        return json.dumps(document | {"data": {"value": value, "pad": PAD}}).encode()

    def next(self, operation: str) -> bytes:
        spec = self.spec
        self.serial += 1
        tenant = self.random.choice(spec.tenants)
        name = f"cm-{self.random.randrange(max(1, spec.objects)):06d}"
        match operation:
            case "get":
                return self.encode("GET", f"{self.collection(tenant)}/{name}")
            case "list":
                return self.encode("GET", f"{self.collection(tenant)}?limit={spec.limit}")
            case "create":
                return self.encode("POST", self.collection(tenant), self.body(f"{spec.batch}-{self.serial}", "1"))
            case "update":
                return self.encode("PUT", f"{self.collection(tenant)}/{name}", self.body(name, str(self.serial)))
            case "apply":
                url = f"{self.collection(tenant)}/{name}?fieldManager=bench&force=true"
                return self.encode("PATCH", url, self.body(name, str(self.serial)), "application/apply-patch+yaml")
            case "patch":
                member = "spec" if self.spec.kind == gadgets.KIND else "data"
                patch = json.dumps({member: {"value": str(self.serial)}}).encode()
                content_type = "application/merge-patch+json"
                return self.encode("PATCH", f"{self.collection(tenant)}/{name}", patch, content_type)
            case "delete":
                return self.encode(
                    "DELETE",
                    f"{self.collection(spec.tenants[(self.serial - 1) % len(spec.tenants)])}/"
                    f"{spec.batch}-{self.serial}",
                )
        raise ValueError(operation)

    def in_order(self) -> Iterator[bytes]:
        """Object n in tenant n modulo tenants, as the delete operation asks for them."""
        for number in range(1, self.spec.requests + 1):
            tenant = self.spec.tenants[(number - 1) % len(self.spec.tenants)]
            yield self.encode("POST", self.collection(tenant), self.body(f"{self.spec.batch}-{number}", "1"))

    def populate(self) -> Iterator[bytes]:
        for tenant in self.spec.tenants:
            if not tenant[0]:
                namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": tenant[1]}}
                yield self.encode("POST", "/api/v1/namespaces", json.dumps(namespace).encode())
        for number in range(self.spec.objects):
            for tenant in self.spec.tenants:
                name = f"cm-{number:06d}"
                yield self.encode("POST", self.collection(tenant), self.body(name, "0"))


def percentiles(latencies: list[float]) -> dict[str, float]:
    ordered = sorted(latencies)
    if not ordered:
        return {}
    wanted = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999, "max": 1.0}
    last = len(ordered) - 1
    return {name: round(ordered[min(last, int(q * len(ordered)))] * 1000, 3) for name, q in wanted.items()}


class Load:
    def __init__(self, spec: Spec) -> None:
        self.spec, self.requests, self.outcome = spec, Requests(spec), Outcome()
        self.codes: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.context = ssl.create_default_context(cadata=spec.authority)
        self.context.check_hostname = False
        self.left = spec.requests or 1 << 60
        sources: dict[str, Callable[[], Iterator[bytes]]] = {
            "populate": self.requests.populate,
            "create in order": self.requests.in_order,
        }
        self.source = sources[spec.operation]() if spec.operation in sources else None
        self.stop = False

    async def connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        made = await loop.create_connection(Connection, self.spec.host, self.spec.port, ssl=self.context)
        return made[1]

    def take(self) -> bytes | None:
        if self.stop or self.left <= 0:
            return None
        self.left -= 1
        if self.source is not None:
            return next(self.source, None)
        return self.requests.next(self.spec.operation)

    async def measure(self) -> None:
        connection = await self.connect()
        while (data := self.take()) is not None:
            began = time.perf_counter()
            code, size = await connection.ask(data)
            self.latencies.append(time.perf_counter() - began)
            self.codes[str(code)] += 1
            self.outcome.bytes += size
        connection.transport.close()

    async def write_beside(self) -> None:
        connection = await self.connect()
        # A custom object is not updated without its resourceVersion.
        operation = "update" if self.spec.kind == "ConfigMap" else "patch"
        while not self.stop:
            await connection.ask(self.requests.next(operation))
            self.outcome.writer_requests += 1
            await asyncio.sleep(1 / self.spec.writes_per_s)
        connection.transport.close()

    async def run(self) -> Outcome:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as everything:
            if self.spec.writes_per_s:
                everything.create_task(self.write_beside())
            timer = asyncio.get_running_loop().call_later(self.spec.seconds or 3600, self.finish)
            async with asyncio.TaskGroup() as measured:
                for _ in range(self.spec.connections):
                    measured.create_task(self.measure())
            self.outcome.seconds = time.perf_counter() - began
            self.finish()
            timer.cancel()
        self.outcome.requests = sum(self.codes.values())
        self.outcome.codes = dict(self.codes)
        self.outcome.latencies_ms = percentiles(self.latencies)
        return self.outcome

    def finish(self) -> None:
        self.stop = True


def main() -> None:
    spec = Spec(**json.loads(Path(sys.argv[1]).read_text()))
    spec.tenants = [(t[0], t[1]) for t in spec.tenants]
    with contextlib.suppress(KeyboardInterrupt):
        print(json.dumps(asdict(uvloop.run(Load(spec).run()))))


if __name__ == "__main__":
    main()
