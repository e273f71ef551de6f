"""What requests cost a server: CPU seconds and user instructions over all its processes, before and after a load."""

import json
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil

from benchmarks.load import Outcome, Spec
from benchmarks.target import Target


@dataclass
class Cost:
    """Per request: CPU microseconds (user + system) and thousands of user instructions (0: not counted)."""

    cpu_us: float
    kilo_instructions: float
    requests_per_s: float
    latencies_ms: dict[str, float]
    codes: dict[str, int]
    timer_p99_ms: float

    @property
    def is_quiet(self) -> bool:
        """Whether the round's latencies count: an idle process's 1 ms timer stayed under 2 ms."""
        return self.timer_p99_ms < 2.0


def cpu_seconds(pids: Sequence[int]) -> float:
    """User + system of the living processes. Processes that end in between are lost: do not kill while measuring."""
    total = 0.0
    for pid in pids:
        times = psutil.Process(pid).cpu_times()
        total += times.user + times.system
    return total


@lru_cache(1)
def _can_count() -> bool:
    if shutil.which("perf") is None:
        return False
    asked = subprocess.run(["perf", "stat", "-e", "instructions:u", "-x", ",", "true"], capture_output=True, text=True)
    return re.search(r"^\d+,+.*instructions", asked.stderr, re.M) is not None


@contextmanager
def counting_instructions(pids: Sequence[int]) -> Iterator[list[float]]:
    """Appends the user instructions of `pids` while the block runs; appends nothing where perf cannot count them."""
    counted: list[float] = []
    if not _can_count():
        yield counted
        return
    command = ["perf", "stat", "-e", "instructions:u", "-x", ",", "-p", ",".join(map(str, pids))]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    time.sleep(0.2)
    try:
        yield counted
    finally:
        process.send_signal(signal.SIGINT)
        text = process.communicate(timeout=20)[1]
        if found := re.search(r"^(\d+),+.*instructions", text, re.M):
            counted.append(float(found[1]))


TIMER = """
import time, sys
late = []
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    t = time.perf_counter(); time.sleep(0.001); late.append(time.perf_counter() - t - 0.001)
late.sort(); print(late[int(len(late) * 0.99)] * 1000)
"""


@contextmanager
def watching_timer(seconds: float) -> Iterator[list[float]]:
    found: list[float] = []
    process = subprocess.Popen([sys.executable, "-c", TIMER, str(seconds)], stdout=subprocess.PIPE, text=True)
    try:
        yield found
    finally:
        found.append(float(process.communicate(timeout=seconds + 60)[0]))


def run_load(spec: Spec) -> Outcome:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(asdict(spec), file)
        file.flush()
        command = [sys.executable, "-m", "benchmarks.load", file.name]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return Outcome(**json.loads(done.stdout))


def spec_for(target: Target, operation: str, tenants: int, **more: Any) -> Spec:
    listed = [target.tenant(n) for n in range(tenants)]
    return Spec(target.host, target.port, target.token, target.authority, operation, listed, **more)


def measure(target: Target, spec: Spec) -> Cost:
    """Run the load and attribute all of the servers' CPU to its requests, a slow writer's beside them included."""
    pids = target.pids()
    with counting_instructions(pids) as instructions, watching_timer(max(1.0, spec.seconds)) as timer:
        before = cpu_seconds(pids)
        outcome = run_load(spec)
        spent = cpu_seconds(pids) - before
    bad = {c: n for c, n in outcome.codes.items() if c not in ("200", "201")}
    if bad or not outcome.requests:
        raise RuntimeError(f"{target.name} {spec.operation}: answers {outcome.codes}")
    count = outcome.requests
    return Cost(
        spent / count * 1e6,
        instructions[0] / count / 1000 if instructions else 0.0,
        outcome.requests / outcome.seconds,
        outcome.latencies_ms,
        outcome.codes,
        timer[0],
    )


def median_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Median, and half the distance between the extremes as a share of it."""
    middle = statistics.median(values)
    return middle, (max(values) - min(values)) / 2 / middle if middle else 0.0


def memory_pss(pids: Sequence[int]) -> int:
    """Proportional set size in bytes over the processes."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total
