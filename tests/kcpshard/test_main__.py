"""`python -m kcpshard` as a process: durable over kill -9, drained by SIGTERM, one sentence when it may not run."""

import asyncio
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from kcpshard.rpc import shard_pb2 as pb
from tests.contracts.caller import soon
from tests.kcpshard.test_server import channels, config_map

pytestmark = pytest.mark.process


@pytest.fixture
def directory() -> Iterator[str]:
    with tempfile.TemporaryDirectory(dir="/tmp") as found:
        yield found


def command(directory: str, number: int = 1) -> list[str]:
    sockets = [f"--{name}-socket={directory}/{name}.sock" for name in ("front", "admin", "sync")]
    return [sys.executable, "-m", "kcpshard", f"--number={number}", f"--data={directory}/data", *sockets]


@asynccontextmanager
async def running(directory: str) -> AsyncIterator[asyncio.subprocess.Process]:
    log = Path(directory, "log").open("ab")  # noqa: SIM115 - closed below, after the process
    process = await asyncio.create_subprocess_exec(*command(directory), stdout=subprocess.PIPE, stderr=log)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            line = await process.stdout.readline()
        assert line == b"ready\n", Path(directory, "log").read_text()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]
        log.close()


def body(name: str) -> bytes:
    return orjson.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})


async def test_acknowledged_writes_survive_kill_9_and_callers_notice_only_a_delay(directory: str) -> None:
    async with channels(directory) as made:
        caller = made.callers[1]
        created: list[str] = []

        async def write() -> None:
            for n in range(150):
                result = await caller.call(config_map("", pb.CREATE, body(f"n{n}")), soon(30))
                assert result.code == 201, (n, result.body)
                created.append(f"n{n}")

        async with asyncio.TaskGroup() as tasks:
            async with running(directory) as process:
                writing = tasks.create_task(write())
                while len(created) < 50:
                    await asyncio.sleep(0.001)
                process.kill()
                await process.wait()
            async with running(directory) as process:
                await writing
                for name in created:
                    assert (await caller.call(config_map(name, pb.GET), soon())).code == 200
                process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(60):
                    assert await process.wait() == 0
    assert len(created) == 150
    assert "Traceback" not in Path(directory, "log").read_text()


async def test_a_directory_in_use_and_one_of_another_shard_are_refused_in_one_sentence(directory: str) -> None:
    async with running(directory) as process:
        assert refusal(command(directory)).endswith("is in use by another process")
        process.terminate()
        assert await process.wait() == 0
    assert "belongs to shard 1, not to shard 2" in refusal(command(directory, number=2))


def refusal(arguments: list[str]) -> str:
    found = subprocess.run(arguments, capture_output=True, timeout=30, text=True, check=False)
    assert found.returncode == 3
    (sentence,) = found.stderr.splitlines()
    return sentence


def test_a_disk_that_fills_up_at_the_first_start_is_told_in_a_sentence(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=250k", "tmpfs", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system: {mounted.stderr.decode().strip()}")
    try:
        found = subprocess.run(command(str(tmp_path)), capture_output=True, timeout=30, text=True, check=False)
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)
    assert found.returncode == 3
    assert found.stderr.splitlines()[-1].startswith("kcpshard: this shard's data directory takes no writes:")
    assert "Traceback" not in found.stderr
