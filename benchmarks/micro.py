"""`make bench-micro`: instructions of a get, a list, a create and an event inside the shard; fails on +5 %.

Each operation runs in a process of its own, once with few and once with many repetitions; the difference of the two
instruction counts, divided by the difference in repetitions, is its cost, whatever start-up costs. Counted by perf
where the machine can, else by valgrind; where neither can, nothing is judged and that is said. The operations run on
the memory engine: what RocksDB costs beyond it is in design_figures.

usage: python -m benchmarks.micro [--update]            compare with (or rewrite) micro_baseline.json
       python -m benchmarks.micro --run OPERATION TIMES  one run, as the parent starts it
       python -m benchmarks.micro --time                 CPU microseconds instead
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

BASELINE = Path(__file__).with_name("micro_baseline.json")
TOLERANCE = 1.05
MARKED = "KCP_COUNT_BETWEEN_MARKS"
OPERATIONS = {"get": (500, 2500), "list of 500": (3, 13), "create": (100, 400), "event to 1 watch": (200, 1000)}
PAD = "x" * 900


def configmap(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": "1", "pad": PAD}}


class EveryPath:
    """A shard that owns all logical clusters."""

    def check(self, path: str) -> None:
        return None


def now_us() -> int:
    return time.time_ns() // 1000


class ShardAlone:
    """The verbs over a store in memory, without gRPC and HTTP."""

    def __init__(self) -> None:
        from kcpshard.definitions.catalog import Catalog
        from kcpshard.rpc import shard_pb2 as pb
        from kcpshard.storage.memory_engine import MemoryEngine
        from kcpshard.storage.object_store import Store
        from kcpshard.verbs.shard import Shard

        self.pb = pb
        self.store = Store(MemoryEngine(), 1, now_us)
        self.shard = Shard(self.store, Catalog(), EveryPath(), now_us)

    def request(self, verb: Any, **more: Any) -> Any:
        identity = b'{"username":"admin","uid":"","groups":["system:masters"],"extra":{}}'
        place: dict[str, Any] = {"cluster": "bench", "version": "v1", "resource": "configmaps", "namespace": "default"}
        return self.pb.Request(verb=verb, identity=identity, **place, **more)

    async def create(self, name: str) -> None:
        from kcpshard.verbs.dispatch import dispatch

        body = json.dumps(configmap(name)).encode()
        outcome: Any = dispatch(self.shard, self.request(self.pb.CREATE, body=body, request_id=os.urandom(16)))
        if asyncio.iscoroutine(outcome):
            outcome = await outcome
        done = asyncio.get_running_loop().create_future()
        outcome.group.when_durable(lambda: done.set_result(None))
        await done

    async def run(self, operation: str, times: int) -> float:
        """CPU seconds of `times` repetitions."""
        from kcpshard.verbs.dispatch import dispatch

        for number in range(500):
            await self.create(f"cm-{number:03d}")
        began = time.process_time()
        if operation == "create":
            for number in range(times):
                await self.create(f"new-{number}")
        else:
            name, limit = ("cm-007", 0) if operation == "get" else ("", 500)
            request = self.request(self.pb.GET if name else self.pb.LIST, name=name, limit=limit)
            for _ in range(times):
                answer: Any = dispatch(self.shard, request)
                pieces = [answer] if hasattr(answer, "code") else [piece async for piece in answer]
                if pieces[0].code != 200:
                    raise RuntimeError(pieces[0])
        spent = time.process_time() - began
        await self.store.close()
        return spent


async def run(operation: str, times: int) -> float:
    if operation == "event to 1 watch":
        from benchmarks.watch_micro import hub_alone

        return await hub_alone(1, 0, times=times) * times / 1e6
    return await ShardAlone().run(operation, times)


def counted(operation: str, times: int) -> int | None:
    """Instructions of a whole run, by whatever can count them here."""
    command = [sys.executable, "-m", "benchmarks.micro", "--run", operation, str(times)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    environment.pop("KCP_VERIFY", None)
    return instructions_of(command, environment)


def instructions_of(command: list[str], environment: dict[str, str]) -> int | None:
    """Of a process from start to end; None if nothing here can count them."""
    if shutil.which("perf"):
        perf = ["perf", "stat", "-e", "instructions:u", "-x", ","]
        done = subprocess.run([*perf, *command], capture_output=True, text=True, env=environment)
        if found := re.search(r"^(\d+),+.*instructions", done.stderr, re.M):
            return int(found[1])
    if shutil.which("valgrind"):
        tool = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        done = subprocess.run([*tool, *command], capture_output=True, text=True, env=environment)
        if done.returncode == 0 and (found := re.search(r"Collected : (\d+)", done.stderr)):
            return int(found[1])
        raise RuntimeError(done.stderr[-2000:])
    return None


def instructions_between_marks(command: list[str], environment: dict[str, str]) -> int | None:
    """What a process executes between `begin_counting` and `end_counting`: exact, and what comes before is not slowed
    down as much. None without valgrind."""
    if shutil.which("callgrind_control") is None:
        return None
    tool = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=/dev/null"]
    done = subprocess.run([*tool, *command], capture_output=True, text=True, env=environment | {MARKED: "1"})
    if done.returncode == 0 and (found := re.search(r"Collected : (\d+)", done.stderr)):
        return int(found[1])
    raise RuntimeError(done.stderr[-2000:])


def begin_counting() -> None:
    _instrument("on")


def end_counting() -> None:
    _instrument("off")


def _instrument(state: str) -> None:
    if MARKED in os.environ:
        command = ["callgrind_control", "-i", state, str(os.getpid())]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def print_times() -> None:
    for operation, (_, many) in OPERATIONS.items():
        spent = asyncio.run(run(operation, many * 4)) / (many * 4)
        print(f"{operation:20} {spent * 1e6:9.1f} µs")


def count_all(baseline: dict[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for operation, (few, many) in OPERATIONS.items():
        low, high = counted(operation, few), counted(operation, many)
        if low is None or high is None:
            print("neither perf nor valgrind can count instructions here: nothing is judged", file=sys.stderr)
            return {}
        found[operation] = (high - low) // (many - few)
        before = baseline.get(operation)
        change = f"{(found[operation] / before - 1) * 100:+.1f} %" if before else "new"
        print(f"{operation:20} {found[operation]:>12,} instructions  {change}", flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--run", nargs=2, metavar=("OPERATION", "TIMES"))
    args = parser.parse_args()
    if args.run:
        asyncio.run(run(args.run[0], int(args.run[1])))
        return 0
    if args.time:
        print_times()
        return 0
    baseline: dict[str, int] = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    found = count_all(baseline)
    if found and (args.update or not baseline):
        BASELINE.write_text(json.dumps(found, indent=1) + "\n")
        return 0
    worse = [o for o, count in found.items() if o in baseline and count > baseline[o] * TOLERANCE]
    if worse:
        print(f"more than 5 % dearer: {', '.join(worse)}", file=sys.stderr)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
