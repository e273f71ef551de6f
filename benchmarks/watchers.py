"""Watches: what an idle one costs, how fast all come back after a front died, and fan-out of one object's changes.

usage: python -m benchmarks.watchers [--idle 10000] [--fanout 1,10,100,1000]
"""

import argparse
import asyncio
import http.client
import json
import os
import resource
import ssl
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import uvloop

from benchmarks.cost import cpu_seconds, memory_pss
from benchmarks.target import KcpInstance, KubeInstance, Target

HERE = Path(__file__).parent


WARM_UP = 20  # patches before those that count


class WatchConnection(asyncio.Protocol):
    """One watch: counts events by the newlines that end them, remembers when it began and ended."""

    def __init__(self, load: "WatchLoad", path: str) -> None:
        self.load, self.path = load, path
        self.headers_seen = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        target = self.load.target
        head = f"GET {self.path} HTTP/1.1\r\nHost: {target.host}\r\nAuthorization: Bearer {target.token}\r\n\r\n"
        transport.write(head.encode())

    def data_received(self, data: bytes) -> None:
        if not self.headers_seen:
            self.headers_seen = True
            if b" 200 " not in data[:20]:
                self.load.refused += 1
            self.load.alive += 1
        events = data.count(b'{"type":')
        if events:
            self.load.events += events
            self.load.last_event = time.perf_counter()

    def connection_lost(self, error: Exception | None) -> None:
        if self.headers_seen:
            self.load.alive -= 1
        if not self.load.stopping:
            self.load.reconnects += 1
            self.load.group.create_task(self.load.open(self.path, 0.05))


class WatchLoad:
    group: asyncio.TaskGroup

    def __init__(self, target: Target) -> None:
        self.target, self.alive, self.events, self.refused, self.reconnects = target, 0, 0, 0, 0
        self.last_event, self.stopping = 0.0, False
        self.context = ssl.create_default_context(cadata=target.authority)
        self.context.check_hostname = False
        self.limit = asyncio.Semaphore(64)  # handshakes under way
        self.connections: list[WatchConnection] = []

    async def open(self, path: str, pause_s: float = 0) -> None:
        await asyncio.sleep(pause_s)
        while not self.stopping:
            try:
                async with self.limit:
                    make = asyncio.get_running_loop().create_connection(
                        lambda: WatchConnection(self, path), self.target.host, self.target.port, ssl=self.context
                    )
                    self.connections.append((await make)[1])
                return
            except OSError:
                await asyncio.sleep(0.2)

    async def wait_alive(self, count: int, timeout_s: float) -> float:
        began = time.perf_counter()
        while self.alive < count and time.perf_counter() - began < timeout_s:
            await asyncio.sleep(0.02)
        return time.perf_counter() - began

    def close(self) -> None:
        self.stopping = True
        for connection in self.connections:
            connection.transport.abort()


async def idle(target: Target, count: int, kill_front: bool) -> dict[str, Any]:
    before = memory_pss(target.pids())
    load = WatchLoad(target)
    async with asyncio.TaskGroup() as load.group:
        cpu = cpu_seconds(target.pids())
        for number in range(count):
            prefix, namespace = target.tenant(number % 1000)
            path = f"{prefix}/api/v1/namespaces/{namespace}/configmaps?watch=1&allowWatchBookmarks=true"
            load.group.create_task(load.open(path))
        took = await load.wait_alive(count, 300)
        found: dict[str, Any] = {"watches": load.alive, "connect_s": took}
        found["connect_cpu_ms_each"] = (cpu_seconds(target.pids()) - cpu) / count * 1e3
        await asyncio.sleep(3)
        pss = memory_pss(target.pids())
        found |= {"pss_mb": pss / 1e6, "kb_each": (pss - before) / count / 1e3}
        cpu = cpu_seconds(target.pids())
        await asyncio.sleep(10)
        found["idle_cpu_percent"] = (cpu_seconds(target.pids()) - cpu) * 10
        if kill_front:
            fronts = [p for p in map(psutil.Process, target.pids()) if "kcpfront" in " ".join(p.cmdline())]
            fronts[0].kill()
            began = time.perf_counter()
            while load.alive >= count and time.perf_counter() - began < 5:
                await asyncio.sleep(0.005)
            found["lost_with_a_front"] = count - load.alive
            found["all_back_s"] = await load.wait_alive(count, 120) + 0.0
            found["alive_after"] = load.alive
        load.close()
    return found


def _patch(writer: http.client.HTTPSConnection, target: Target, path: str, value: str) -> None:
    headers = {"Authorization": f"Bearer {target.token}", "Content-Type": "application/merge-patch+json"}
    writer.request("PATCH", path, json.dumps({"data": {"v": value}}), headers)
    answer = writer.getresponse()
    answer.read()
    if answer.status != 200:
        raise RuntimeError(f"patch: {answer.status}")


async def fan_out(target: Target, watchers: int, changes: int) -> dict[str, Any]:
    """`watchers` watch one namespace; one object changes `changes` times as fast as the answers come."""
    prefix, namespace = target.tenant(0)
    collection = f"{prefix}/api/v1/namespaces/{namespace}/configmaps"
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "fan"},
        "data": {"v": "new", "pad": "x" * 900},
    }
    await asyncio.to_thread(target.request, "DELETE", f"{collection}/fan")
    await asyncio.to_thread(target.request, "POST", collection, body)
    version = (await asyncio.to_thread(target.request, "GET", f"{collection}?limit=1"))[1]["metadata"][
        "resourceVersion"
    ]
    load = WatchLoad(target)
    async with asyncio.TaskGroup() as load.group:
        for _ in range(watchers):
            load.group.create_task(load.open(f"{collection}?watch=1&resourceVersion={version}"))
        await load.wait_alive(watchers, 60)
        await asyncio.sleep(0.5)
        writer = http.client.HTTPSConnection(target.host, target.port, context=target.ssl_context())
        for number in range(WARM_UP):
            await asyncio.to_thread(_patch, writer, target, f"{collection}/fan", f"warm {number}")
        await asyncio.sleep(0.2)
        load.events = 0
        cpu, began, lags = cpu_seconds(target.pids()), time.perf_counter(), []
        for number in range(changes):
            await asyncio.to_thread(_patch, writer, target, f"{collection}/fan", str(number))
            answered = time.perf_counter()
            while load.events < (number + 1) * watchers and time.perf_counter() - answered < 10:
                await asyncio.sleep(0.0005)
            lags.append(max(0.0, load.last_event - answered) * 1000)
        took, spent = time.perf_counter() - began, cpu_seconds(target.pids()) - cpu
        delivered = load.events
        writer.close()
        load.close()
    lags.sort()
    return {
        "watchers": watchers,
        "delivered": delivered,
        "expected": watchers * changes,
        "delivered_per_s": delivered / took,
        "cpu_us_per_event": spent / max(1, delivered) * 1e6,
        "lag_p50_ms": lags[len(lags) // 2],
        "lag_max_ms": lags[-1],
    }


def plot(rows: dict[str, list[dict[str, Any]]], path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as pyplot

    figure, axis = pyplot.subplots(figsize=(5, 3.4))
    for name, found in rows.items():
        axis.loglog([r["watchers"] for r in found], [r["cpu_us_per_event"] for r in found], "o-", label=name)
    axis.set(title="cost of one delivered event", xlabel="watchers of one object", ylabel="CPU µs")
    axis.legend()
    figure.tight_layout()
    figure.savefig(path)


async def run(args: argparse.Namespace) -> dict[str, Any]:
    instance = KcpInstance(args.port, args.shards, 2)
    rival = KubeInstance(args.port + 10) if args.rival else None
    try:
        target = instance.wait_ready()
        target.request("POST", "/clusters/bench-0/api/v1/namespaces", {"metadata": {"name": "made"}})
        targets = [target] + ([rival.wait_ready()] if rival else [])
        if rival:
            targets[1].request("POST", "/api/v1/namespaces", {"metadata": {"name": "bench-0"}})
        sizes = [int(n) for n in args.fanout.split(",") if n]
        found: dict[str, Any] = {"fan_out": {t.name: [await fan_out(t, n, 100) for n in sizes] for t in targets}}
        print(json.dumps(found), file=sys.stderr)
        if args.idle:
            found["idle"] = await idle(target, args.idle, True)
        return found
    finally:
        instance.stop()
        if rival:
            rival.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--idle", type=int, default=10000)
    parser.add_argument("--fanout", default="1,10,100,1000")
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--rival", action="store_true", help="fan-out also against kube-apiserver")
    parser.add_argument("--port", type=int, default=17643)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    highest = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest, highest))
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    found = uvloop.run(run(args))
    (args.out / "watchers.json").write_text(json.dumps(found, indent=1))
    plot(found["fan_out"], args.out / "watchers.svg")
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
