"""What carrying a request costs: CPU of front and shard per 1 kB get over the Session stream, by requests in flight.

    .venv/bin/python -m benchmarks.session_micro [--requests 60000]

The shard's verb is a constant here, so the figures are of the way alone: client, two event loops, gRPC, service. It is
a process of its own (forked before anything of gRPC runs); CPU seconds are of both processes, threads included.
Goal (DESIGN M5): at most 40 µs in all with 32 in flight. Also shown: lists of 500 kB, and a small get beside two lists.
"""

import argparse
import asyncio
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

import uvloop

BODY = b'{"kind":"ConfigMap","data":{"value":"' + b"x" * 950 + b'"}}'
LIST = b",".join([BODY] * 500)
GOAL_US = 40.0


def serve(address: str, ready: Connection) -> None:
    import grpc.aio

    from kcpshard.api.requests import Answer, ListInfo
    from kcpshard.execution import Execution
    from kcpshard.rpc import shard_pb2 as pb
    from kcpshard.rpc.transport import SERVER_OPTIONS, listen
    from kcpshard.service import SessionService

    one, many = Answer(200, BODY), Answer(200, LIST, ListInfo(1, "", -1, "v1", "ConfigMapList"))

    def dispatch(request: pb.Request) -> Answer:
        return one if request.verb == pb.GET else many

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            service = SessionService(Execution(dispatch, tasks), lambda: pb.Hello(protocol=1, credits_per_cluster=1000))
            server = grpc.aio.server(options=SERVER_OPTIONS)
            service.add_to(server)
            listen(server, address)
            await server.start()
            ready.send(True)
            await server.wait_for_termination()

    uvloop.run(run())


def cpu_s(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as stat:
        user, system = stat.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


async def measure(address: str, shard_pid: int, requests: int) -> float:
    from kcpshard.rpc import shard_pb2 as pb
    from kcpshard.rpc.client import ShardClient
    from kcpshard.rpc.contract import Result
    from kcpshard.rpc.transport import dial

    loop = asyncio.get_running_loop()

    def request(verb: "pb.Verb.ValueType", n: int) -> pb.Request:
        return pb.Request(
            verb=verb, cluster=f"root:c{n % 1000}", version="v1", resource="configmaps", namespace="default",
            name=f"object-{n}", identity=b'{"username":"admin","groups":["system:masters"]}',
        )  # fmt: skip

    async with asyncio.TaskGroup() as tasks:
        client = ShardClient("front-bench", lambda: dial(address, None))
        running = tasks.create_task(client.run())
        await client.wait_until_connected()

        async def get(n: int) -> None:
            await client.call(request(pb.GET, n), loop.time() + 60)

        async def list_(n: int) -> None:
            found = await client.list(request(pb.LIST, n), loop.time() + 60)
            assert not isinstance(found, Result)
            assert sum([len(piece) async for piece in found]) == len(LIST)

        async def several(in_flight: int, total: int, ask: Callable[[int], Awaitable[None]]) -> tuple[float, float]:
            """CPU µs per request at the client and at the shard."""

            async def worker(first: int) -> None:
                for n in range(first, total, in_flight):
                    await ask(n)

            await ask(0)
            ours, theirs = time.process_time(), cpu_s(shard_pid)
            async with asyncio.TaskGroup() as workers:
                for first in range(in_flight):
                    workers.create_task(worker(first))
            return (time.process_time() - ours) / total * 1e6, (cpu_s(shard_pid) - theirs) / total * 1e6

        print(f"{'request':12}{'in flight':>10}{'front µs':>10}{'shard µs':>10}{'both µs':>10}")
        at_32 = 0.0
        for in_flight in (1, 8, 32, 128):
            front, shard = await several(in_flight, requests // (6 if in_flight == 1 else 1), get)
            print(f"{'get 1 kB':12}{in_flight:10}{front:10.1f}{shard:10.1f}{front + shard:10.1f}")
            at_32 = front + shard if in_flight == 32 else at_32
        for in_flight in (1, 8):
            front, shard = await several(in_flight, requests // 100, list_)
            print(f"{'list 500 kB':12}{in_flight:10}{front:10.0f}{shard:10.0f}{front + shard:10.0f}")

        async def latency(beside: int) -> float:
            stop = False

            async def load() -> None:
                while not stop:
                    await list_(1)

            async with asyncio.TaskGroup() as loads:
                for _ in range(beside):
                    loads.create_task(load())
                times = []
                for n in range(500):
                    begun = time.perf_counter()
                    await get(n)
                    times.append(time.perf_counter() - begun)
                stop = True
            return statistics.median(times) * 1000

        print(
            f"get, median ms: alone {await latency(0):.2f}, beside two endless lists of 500 kB {await latency(2):.2f}"
        )
        running.cancel()
    return at_32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=60_000)
    options = parser.parse_args()
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        ours, theirs = multiprocessing.Pipe()
        shard = multiprocessing.get_context("fork").Process(target=serve, args=(f"unix:{directory}/s", theirs))
        shard.start()
        try:
            ours.recv()
            assert shard.pid is not None
            at_32 = uvloop.run(measure(f"unix:{directory}/s", shard.pid, options.requests))
        finally:
            shard.kill()
            shard.join()
    print(f"goal: at most {GOAL_US:.0f} µs with 32 in flight: {'met' if at_32 <= GOAL_US else 'MISSED'} ({at_32:.1f})")


if __name__ == "__main__":
    main()
