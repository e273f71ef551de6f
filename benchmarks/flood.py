"""What one tenant's flood does to another tenant's gets.

A tenant keeps 64 connections busy with one expensive shape; another one gets objects meanwhile, and its p99 is compared
with what it is while processes that have nothing to do with us burn as much CPU, worker processes included. Five
alternating rounds a shape; a measurement begins when the flood has had its first answer. The ratio is the median of the
rounds' ratios. Between rounds it is looked at what others take of the machine: a round counts if that is little before
and after it, and there is a verdict only where most rounds count.

usage: python -m benchmarks.flood [--rounds 5] [--seconds 2.5] [--port 25100]
"""

import argparse
import asyncio
import json
import multiprocessing
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import psutil

from benchmarks import stalls
from benchmarks.load import Connection, Load, Spec
from benchmarks.target import KcpInstance, Target

HERE = Path(__file__).parent
CONNECTIONS = 64
_NAMES = {"burnt": "equal CPU load elsewhere", "flooded": "flood"}
SHAPES = ("lists of 5 000", "3 MB creates", "CEL-heavy writes", "OpenAPI of 500 definitions")
QUIET = "/clusters/quiet"
FOREIGN = 0.2  # of the machine that others may take in a round that counts
LIMIT = 2.0
_READY = b"flooding\n"


def request_of(shape: str, number: int, headers: str) -> bytes:
    method, path, body = "GET", stalls.MANY, b""
    if shape == "3 MB creates":
        method, path = "POST", stalls.objects("opens")
        body = stalls.object_of("opens", f"f-{time.time_ns()}-{number}", {"rows": _ROWS})
    elif shape == "CEL-heavy writes":
        method, path = "POST", stalls.objects("ruleds")
        body = stalls.object_of("ruleds", f"f-{time.time_ns()}-{number}", {"rows": list(range(250))})
    elif shape == "OpenAPI of 500 definitions":
        path = f"{stalls.TENANT}/openapi/v2"
    head = f"{method} {path} HTTP/1.1\r\n{headers}"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


_ROWS = [{"a": n} for n in range(230_000)]


async def drive(shape: str, spec: Spec) -> dict[str, int]:
    """Until told to end (SIGTERM) or the time is up: 64 connections, one request after the other each. Codes and how
    many."""
    load = Load(spec)
    headers = load.requests.headers
    codes: dict[str, int] = {}
    end = time.monotonic() + spec.seconds
    connected: set[int] = set()

    async def one(number: int) -> None:
        connection: Connection | None = None
        while time.monotonic() < end:
            try:
                if connection is None or connection.closed:
                    connection = await load.connect()
                    connected.add(number)
                code, _ = await connection.ask(request_of(shape, number, headers))
            except (OSError, ConnectionError):
                code, connection = 0, None
            codes[str(code)] = codes.get(str(code), 0) + 1
            if len(connected) == CONNECTIONS:
                connected.add(CONNECTIONS)  # told once
                print(_READY.decode(), end="", flush=True)
            if code == 429:
                await asyncio.sleep(0.1)  # any client backs off for a moment

    async with asyncio.TaskGroup() as tasks:
        made = [tasks.create_task(one(number)) for number in range(CONNECTIONS)]
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _cancel, made)
    return codes


def _cancel(tasks: list["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()


def run(*arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", *arguments], stdout=subprocess.PIPE)


def spec_file(spec: Spec, directory: Path, name: str) -> str:
    place = directory / name
    place.write_text(json.dumps(spec.__dict__))
    return str(place)


def burn() -> None:
    while True:
        sum(range(10_000))


@contextmanager
def burning(processes: int) -> Iterator[None]:
    made = [multiprocessing.get_context("spawn").Process(target=burn, daemon=True) for _ in range(processes)]
    for process in made:
        process.start()
    try:
        yield
    finally:
        for process in made:
            process.kill()
            process.join()


def cpu_of(roots: list[int]) -> dict[int, float]:
    """Seconds by process, of these and of what they have started."""
    found: dict[int, float] = {}
    for root in roots:
        try:
            process = psutil.Process(root)
            for each in (process, *process.children(recursive=True)):
                times = each.cpu_times()
                found[each.pid] = times.user + times.system
        except psutil.NoSuchProcess:
            continue
    return found


def foreign_load() -> float:
    """What others take of the machine while nothing of ours has anything to do, 0 to 1."""
    time.sleep(1)
    psutil.cpu_percent()
    time.sleep(1.5)
    return psutil.cpu_percent() / 100


class Flood:
    def __init__(self, target: Target, seconds: float, directory: Path) -> None:
        self.target, self.seconds, self.directory = target, seconds, directory
        common = {"host": target.host, "port": target.port, "token": target.token, "authority": target.authority}
        self.common: dict[str, Any] = common

    def spec(self, operation: str, **members: Any) -> Spec:
        return Spec(**self.common, operation=operation, tenants=[(QUIET, "default")], objects=100, **members)

    def quiet(self, seed: int) -> dict[str, float]:
        """Latencies in ms of the other tenant's gets."""
        spec = self.spec("get", seconds=self.seconds, connections=2, seed=seed)
        output, _ = run("benchmarks.load", spec_file(spec, self.directory, "get.json")).communicate()
        found: dict[str, float] = json.loads(output)["latencies_ms"]
        return found

    def flooded(self, shape: str, seed: int) -> tuple[dict[str, float], float, dict[str, int]]:
        """Latencies, cores that the flood kept busy, and its answers."""
        spec = self.spec("get", seconds=self.seconds + 60)
        driver = run("benchmarks.flood", "--drive", shape, "--spec", spec_file(spec, self.directory, "flood.json"))
        assert driver.stdout is not None
        ready = driver.stdout.readline()  # all are connected and one has been answered
        roots = [*self.target.roots, driver.pid]
        before, began = cpu_of(roots), time.monotonic()
        latencies = self.quiet(seed)
        after, took = cpu_of(roots), time.monotonic() - began
        cores = sum(spent - before.get(pid, 0.0) for pid, spent in after.items()) / took
        driver.terminate()  # not before: the flood has to last as long as the measurement
        output, _ = driver.communicate()
        assert ready == _READY, (ready, output)
        return latencies, cores, json.loads(output)


def prepare(client: stalls.Client) -> None:
    client.must("POST", stalls.MAPS, stalls.config_map("first"))
    for case in stalls.CASES:
        if case.prepare is not None and case.name in _PREPARED:
            case.prepare(client)
    for n in range(100):
        body = stalls.config_map(f"cm-{n:06d}", data={"value": "0", "pad": "x" * 900})
        client.must("POST", f"{QUIET}/api/v1/namespaces/default/configmaps", body)


_PREPARED = (
    "create 3 MB, nested, unknown fields kept", "create a rule at its limit", "list 5 000",
    "OpenAPI v2 of 500 definitions",
)  # fmt: skip


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as pyplot

    figure, axis = pyplot.subplots(figsize=(7, 3.4))
    for place, row in enumerate(rows):
        for shift, key in ((-0.2, "burnt"), (0.2, "flooded")):
            values = row[key]
            axis.bar(place + shift, statistics.median(values), 0.38, color={"burnt": "C0", "flooded": "C1"}[key],
                     label=_NAMES[key] if not place else None)  # fmt: skip
            axis.plot([place + shift] * len(values), values, "k.", markersize=4)
    axis.set_xticks(range(len(rows)), [row["shape"] for row in rows], fontsize=7)
    axis.set(title="another tenant's get beside a flood", ylabel="p99 in ms, median of the rounds")
    axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path)


def measured(flood: Flood, shape: str, rounds: int) -> dict[str, Any]:
    row: dict[str, Any] = {"shape": shape, "burnt": [], "flooded": [], "cores": [], "foreign": [], "codes": {}}
    row["foreign"].append(round(foreign_load(), 2))
    for turn in range(rounds):
        latencies, cores, codes = flood.flooded(shape, turn)
        row["flooded"].append(latencies["p99"])
        row["cores"].append(round(cores, 2))
        for code, count in codes.items():
            row["codes"][code] = row["codes"].get(code, 0) + count
        with burning(max(1, round(cores))):
            time.sleep(1)
            row["burnt"].append(flood.quiet(turn)["p99"])
        row["foreign"].append(round(foreign_load(), 2))
    ratios = [flooded / burnt for flooded, burnt in zip(row["flooded"], row["burnt"], strict=True)]
    row["ratios"] = [round(ratio, 2) for ratio in ratios]
    row["ratio"] = round(statistics.median(ratios), 2)
    quiet = [max(pair) <= FOREIGN for pair in pairwise(row["foreign"])]
    row["counting"] = sum(quiet)
    row["verdict"] = "none" if 2 * sum(quiet) <= rounds else "met" if row["ratio"] <= LIMIT else "missed"
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.5)
    parser.add_argument("--port", type=int, default=25100)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--drive", default="", help=argparse.SUPPRESS)
    parser.add_argument("--spec", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.drive:
        print(json.dumps(asyncio.run(drive(args.drive, Spec(**json.loads(args.spec.read_text()))))))
        return 0
    instance = KcpInstance(args.port, 1, 1)
    rows: list[dict[str, Any]] = []
    try:
        target = instance.wait_ready()
        prepare(stalls.Client(target))
        with tempfile.TemporaryDirectory() as directory:
            flood = Flood(target, args.seconds, Path(directory))
            for shape in (s for s in SHAPES if args.only in s):
                rows.append(measured(flood, shape, args.rounds))
                print(orjson.dumps(rows[-1]).decode(), flush=True)
    finally:
        instance.stop()
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "flood.json").write_text(json.dumps(rows, indent=1))
    plot(rows, args.out / "flood.svg")
    print(
        "| flood | p99 with equal CPU load elsewhere, ms | beside the flood, ms | ratio | cores | rounds that count |"
    )
    print("|---|---|---|---|---|---|")
    for row in rows:
        burnt, flooded, cores = (statistics.median(row[key]) for key in ("burnt", "flooded", "cores"))
        counts = f"{row['counting']} of {len(row['burnt'])}: {row['verdict']}"
        print(f"| {row['shape']} | {burnt:.1f} | {flooded:.1f} | {row['ratio']} | {cores:.1f} | {counts} |")
    return 0 if all(row["verdict"] == "met" for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
