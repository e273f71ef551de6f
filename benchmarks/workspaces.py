"""What a workspace costs: to make, to keep idle, to delete.

A tree of two levels under `root`: `--parents` workspaces, below them the rest in equal parts, made over 32 connections,
each an ordinary POST of a Workspace. One counts when it is Ready in its parent's list, and (for a sample) a ConfigMap
can be made and a token requested in it. CPU is that of all server processes, as a multiple of a ConfigMap create in the
same run. Memory is the processes' proportional share, as a slope between a tenth and all of them. Deletion is that of
the parents; at the end `kcp shard verify` runs and keys of dead logical clusters are counted.

A front that dies among them has to be followed by one that serves at once.

usage: python -m benchmarks.workspaces [--workspaces 10000] [--parents 20] [--shards 2] [--fronts 1] [--port 21900]
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.cost import cpu_seconds, memory_pss
from benchmarks.load import Connection
from benchmarks.target import KcpInstance, Target

CONNECTIONS = 32
WORKSPACES = "/apis/tenancy.kcp.io/v1alpha1/workspaces"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
_SAMPLE = 50
_BODY = {"a": "x" * 1000}


def request(target: Target, method: str, path: str, body: Any) -> bytes:
    data = json.dumps(body).encode() if body is not None else b""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {target.host}\r\nAuthorization: Bearer {target.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


async def send_all(target: Target, requests: Iterable[bytes], wanted: int) -> float:
    """Seconds until all are answered with that code."""
    waiting = iter(requests)
    loop, context = asyncio.get_running_loop(), target.ssl_context()

    async def work() -> None:
        _, connection = await loop.create_connection(Connection, target.host, target.port, ssl=context)
        for data in waiting:
            code, _ = await connection.ask(data)
            assert code == wanted, code
        connection.transport.close()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(CONNECTIONS):
            tasks.create_task(work())
    return time.perf_counter() - began


def measured(target: Target, run: Callable[[], None]) -> tuple[float, float]:
    """Seconds of wall and of CPU."""
    pids, began = target.pids(), time.perf_counter()
    before = cpu_seconds(pids)
    run()
    return time.perf_counter() - began, cpu_seconds(pids) - before


def _run(sending: Coroutine[Any, Any, float]) -> None:
    asyncio.run(sending)


def workspace(name: str) -> dict[str, Any]:
    reference = {"name": "universal", "path": "root"}
    return {
        "apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "Workspace", "metadata": {"name": name},
        "spec": {"type": reference},
    }  # fmt: skip


def config_maps(target: Target, number: int) -> float:
    """CPU seconds of one create."""
    target.request("POST", f"/clusters/base{CONFIG_MAPS}", {"metadata": {"name": "first"}})
    bodies = ({"metadata": {"name": f"c{n}"}, "data": _BODY} for n in range(number))
    requests = (request(target, "POST", f"/clusters/base{CONFIG_MAPS}", body) for body in bodies)
    _, cpu = measured(target, lambda: _run(send_all(target, requests, 201)))
    return cpu / number


def make(target: Target, parents: list[str], first: int, last: int) -> None:
    """Workspaces number `first` to `last`, in turn below the parents; until all are Ready."""
    requests = (
        request(target, "POST", f"/clusters/{parents[n % len(parents)]}{WORKSPACES}", workspace(f"w{n}"))
        for n in range(first, last)
    )
    asyncio.run(send_all(target, requests, 201))
    wait_ready(target, parents, last)


def wait_ready(target: Target, parents: list[str], wanted: int) -> None:
    while sum(ready(target, parent) for parent in parents) < wanted:
        time.sleep(0.5)


def ready(target: Target, parent: str) -> int:
    _, found = target.request("GET", f"/clusters/{parent}{WORKSPACES}")
    return sum(each["status"]["phase"] == "Ready" for each in found["items"])


def use(target: Target, paths: list[str]) -> None:
    token = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    for path in paths:
        code, found = target.request("POST", f"/clusters/{path}{CONFIG_MAPS}", {"metadata": {"name": "c"}})
        assert code == 201, found
        account = f"/clusters/{path}/api/v1/namespaces/default/serviceaccounts/default/token"
        code, found = target.request("POST", account, token)
        assert code == 201, found


def delete(target: Target, parents: list[str]) -> None:
    for parent in parents:
        target.request("DELETE", f"/clusters/root{WORKSPACES}/{parent.rpartition(':')[2]}")
    while target.request("GET", f"/clusters/root{WORKSPACES}")[1]["items"]:
        time.sleep(0.5)


def left_behind(directory: Path, shards: int) -> tuple[int, int]:
    """Logical clusters below root, and marks of dead ones, that the stopped shards hold; verify must be content."""
    from kcpshard.settings import Settings
    from kcpshard.storage import keyspace
    from kcpshard.storage.rocksdb_engine import RocksdbEngine

    paths = dead = 0
    for number in range(1, shards + 1):
        data = directory / f"shard-{number}" / "data"
        subprocess.run([sys.executable, "-m", "kcp", "shard", "verify", str(data)], check=True, stdout=sys.stderr)
        engine = RocksdbEngine(str(data), Settings())
        for prefix in (keyspace.PATHS, keyspace.NAMES, keyspace.USAGES, keyspace.DEAD):
            pairs = engine.scan(keyspace.META, prefix, keyspace.after_prefix(prefix), 1_000_000)
            if prefix == keyspace.PATHS:
                paths = max(paths, sum(b"root:" in key for key, _ in pairs))
            elif prefix == keyspace.DEAD:
                dead += len(pairs)
        engine.close()
    return paths, dead


def show(what: str, value: str, wanted: str = "") -> None:
    print(f"{what:<42}{value:>16}  {wanted}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspaces", type=int, default=10_000)
    parser.add_argument("--parents", type=int, default=20)
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--fronts", type=int, default=1)
    parser.add_argument("--port", type=int, default=21_900)
    parser.add_argument("--config-maps", type=int, default=4_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    instance = KcpInstance(args.port, args.shards, args.fronts)
    try:
        target = instance.wait_ready(120)
        found = run(target, args)
        time.sleep(8)  # what is left of the dead goes five seconds after their end
    finally:
        instance.stop()
    paths, dead = left_behind(instance.directory, args.shards)
    show("logical clusters left below root", str(paths), "wanted: 0")
    show("dead ones not cleared yet", str(dead), "wanted: 0")
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "workspaces.json").write_text(json.dumps(found | {"left": paths, "dead": dead}, indent=1) + "\n")
    plot(found, args.out / "workspaces.svg")
    shutil.rmtree(instance.directory.parent, ignore_errors=True)
    return 0


def run(target: Target, args: argparse.Namespace) -> dict[str, Any]:
    fresh = front_again(target, "root")
    base = config_maps(target, args.config_maps)
    show("CPU of a ConfigMap create", f"{base * 1e6:.0f} µs")
    parents = [f"root:p{n}" for n in range(args.parents)]
    for parent in parents:
        target.request("POST", f"/clusters/root{WORKSPACES}", workspace(parent.rpartition(":")[2]))
    wait_ready(target, ["root"], len(parents))
    rows = [{"workspaces": 0, "memory_mb": memory_pss(target.pids()) / 1e6, "cpu_us": 0.0, "per_s": 0.0}]
    for before, upto in pairwise((0, *sorted({args.workspaces // part or 1 for part in (100, 10, 3, 1)}))):
        wall, cpu = measured(target, partial(make, target, parents, before, upto))
        number = upto - before
        rows.append(
            {
                "workspaces": upto,
                "memory_mb": memory_pss(target.pids()) / 1e6,
                "cpu_us": cpu / number * 1e6,
                "per_s": number / wall,
            }
        )
        show(f"{before} to {upto} workspaces: a second", f"{number / wall:.0f}", "wanted: 500")
        show("CPU of a workspace", f"{cpu / number * 1e6:.0f} µs", f"{cpu / number / base:.2f} creates; wanted: 4")
    sample = random.Random(1).sample(range(args.workspaces), min(_SAMPLE, args.workspaces))
    used = [f"{parents[n % len(parents)]}:w{n}" for n in sample]
    use(target, used)
    few = next(row for row in rows if row["workspaces"] >= args.workspaces // 10)
    slope = (rows[-1]["memory_mb"] - few["memory_mb"]) / (args.workspaces - few["workspaces"]) * 1000
    show("memory of an idle workspace", f"{slope:.1f} kB", "wanted: 50")
    among = front_again(target, used[0])
    show("a new front serves after", f"{among:.2f} s", f"{fresh:.2f} s while there are none")
    seconds, cpu = measured(target, lambda: delete(target, parents))
    show("seconds to delete all", f"{seconds:.1f}", "wanted: 60")
    show("CPU of a deletion", f"{cpu / args.workspaces * 1e6:.0f} µs", f"{cpu:.1f} s in all")
    return {
        "rows": rows, "config_map_us": base * 1e6, "kb_per_workspace": slope, "delete_s": seconds,
        "delete_cpu_us": cpu / args.workspaces * 1e6, "front_s": among, "first_front_s": fresh, "shards": args.shards,
    }  # fmt: skip


def front_again(target: Target, path: str) -> float:
    """Seconds from the death of the fronts until the first of their successors serves that logical cluster."""
    for pid in target.pids():
        if b"kcpfront" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
    began = time.perf_counter()
    while True:
        try:
            code, _ = target.request("GET", f"/clusters/{path}{CONFIG_MAPS}")
        except OSError:
            code = 0
        if code == 200:
            return time.perf_counter() - began
        time.sleep(0.02)


def plot(found: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as pyplot

    rows = found["rows"]
    figure, (memory, cost) = pyplot.subplots(1, 2, figsize=(8, 3.2))
    memory.plot([row["workspaces"] for row in rows], [row["memory_mb"] for row in rows], "o-")
    memory.set(title="memory over workspaces", xlabel="workspaces", ylabel="MB, all processes", ylim=0)
    made = rows[1:]
    cost.semilogx([row["workspaces"] for row in made], [row["cpu_us"] for row in made], "o-", label="a workspace")
    cost.axhline(found["config_map_us"], color="grey", label="a ConfigMap")
    cost.set(title="cost of creation", xlabel="workspaces", ylabel="CPU µs", ylim=0)
    cost.legend()
    figure.tight_layout()
    figure.savefig(path)


if __name__ == "__main__":
    sys.exit(main())
