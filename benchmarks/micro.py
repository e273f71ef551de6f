"""`make bench-micro`: instructions of a get, a list, a create and an event inside the shard; fails on +5 %.

Each operation runs in a process of its own, once with few and once with many repetitions; the difference of the two
instruction counts, divided by the difference in repetitions, is its cost, whatever start-up costs. Counted by perf where
the machine can, else by valgrind; where neither can, CPU time is printed and nothing is judged.

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
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BASELINE = Path(__file__).with_name("micro_baseline.json")
TOLERANCE = 1.05
OPERATIONS = {"get": (300, 1500), "list of 500": (3, 13), "create": (100, 400), "event to 1 watcher": (100, 400)}
PAD = "x" * 900


def configmap(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": "1", "pad": PAD}}


class Everything:
    """As DESIGN's owner of all paths."""

    def check(self, path: str) -> None:
        return None


async def run(operation: str, times: int, engine_kind: str = "memory") -> float:
    """CPU seconds of `times` repetitions."""
    from kcpshard.definitions.catalog import Catalog
    from kcpshard.rpc import shard_pb2 as pb
    from kcpshard.storage.memory_engine import MemoryEngine
    from kcpshard.storage.object_store import Store
    from kcpshard.verbs.dispatch import dispatch
    from kcpshard.verbs.shard import Shard

    now_us: Callable[[], int] = lambda: time.time_ns() // 1000  # noqa: E731
    if engine_kind == "rocksdb":
        from kcpshard.storage.rocksdb_engine import RocksdbEngine

        store = Store(RocksdbEngine(str(Path(tempfile.mkdtemp(prefix="kcp-micro-")) / "data")), 1, now_us)
    else:
        store = Store(MemoryEngine(), 1, now_us)
    shard = Shard(store, Catalog(), Everything(), now_us)
    identity = b'{"username":"admin","uid":"","groups":["system:masters"],"extra":{}}'
    common: dict[str, Any] = {
        "cluster": "bench", "version": "v1", "resource": "configmaps", "namespace": "default", "identity": identity,
    }  # fmt: skip

    async def create(name: str) -> None:
        body = json.dumps(configmap(name)).encode()
        outcome: Any = dispatch(shard, pb.Request(verb=pb.CREATE, body=body, request_id=os.urandom(16), **common))
        if asyncio.iscoroutine(outcome):
            outcome = await outcome
        done = asyncio.get_running_loop().create_future()
        outcome.group.when_durable(lambda: done.set_result(None))
        await done

    for number in range(500):
        await create(f"cm-{number:03d}")
    began = time.process_time()
    match operation:
        case "get":
            request = pb.Request(verb=pb.GET, name="cm-007", **common)
            for _ in range(times):
                answer: Any = dispatch(shard, request)
            assert answer.code == 200
        case "list of 500":
            request = pb.Request(verb=pb.LIST, limit=500, **common)
            for _ in range(times):
                outcome: Any = dispatch(shard, request)
                pieces = [outcome] if hasattr(outcome, "code") else [piece async for piece in outcome]
                assert pieces[-1].info is not None
        case "create" | "event to 1 watcher":
            if operation != "create":
                open_watch(shard, common)
            for number in range(times):
                await create(f"new-{number}")
    spent = time.process_time() - began
    await store.close()
    return spent


def open_watch(shard: Any, common: dict[str, Any]) -> None:
    """A live watcher on the objects' bucket, its stream's queue emptied each turn."""
    from tests.kcpshard.watch.micro import attach_watcher

    attach_watcher(shard, common)


def counted(operation: str, times: int) -> int | None:
    """Instructions of a whole run, by whatever can count them here."""
    command = [sys.executable, "-m", "benchmarks.micro", "--run", operation, str(times)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    if shutil.which("perf"):
        done = subprocess.run(
            ["perf", "stat", "-e", "instructions:u", "-x", ",", *command], capture_output=True, text=True, env=environment
        )
        if found := re.search(r"^(\d+),+.*instructions", done.stderr, re.M):
            return int(found[1])
    if shutil.which("valgrind"):
        tool = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        done = subprocess.run([*tool, *command], capture_output=True, text=True, env=environment)
        if found := re.search(r"Collected : (\d+)", done.stderr):
            return int(found[1])
        raise RuntimeError(done.stderr[-2000:])
    return None


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
        for operation, (few, many) in OPERATIONS.items():
            for engine in ("memory", "rocksdb"):
                spent = asyncio.run(run(operation, many * 5, engine)) / (many * 5)
                print(f"{operation:20} {engine:8} {spent * 1e6:9.1f} µs")
        return 0
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    found: dict[str, int] = {}
    for operation, (few, many) in OPERATIONS.items():
        low, high = counted(operation, few), counted(operation, many)
        if low is None or high is None:
            print("neither perf nor valgrind can count instructions here", file=sys.stderr)
            return 0
        found[operation] = (high - low) // (many - few)
        before = baseline.get(operation)
        change = f"{(found[operation] / before - 1) * 100:+.1f} %" if before else "new"
        print(f"{operation:20} {found[operation]:>12,} instructions  {change}")
    if args.update or not baseline:
        BASELINE.write_text(json.dumps(found, indent=1) + "\n")
        return 0
    worse = [o for o, count in found.items() if o in baseline and count > baseline[o] * TOLERANCE]
    if worse:
        print(f"more than 5 % dearer: {', '.join(worse)}", file=sys.stderr)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
