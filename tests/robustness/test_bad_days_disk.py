"""The disk is full, or takes no writes: nothing acknowledged is lost, reads go on, and all heals without help."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.robustness.bad_day import SMALL_STORE, BadDay, mount, small_disk, until

pytestmark = [pytest.mark.process, pytest.mark.slow]


def fill(path: Path, leave: int) -> None:
    """Until only `leave` bytes are left."""
    with path.open("wb", buffering=0) as file:
        written = 1
        while written:
            try:
                written = file.write(b"\0" * 65536)
            except OSError:
                break
        file.truncate(max(0, file.tell() - leave))


def test_a_full_disk_takes_deletions_only_and_recovers(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64) as disk, BadDay(disk / "kcp").running() as day:
        assert [day.create(f"n{n}", 1000)[0] for n in range(20)] == [201] * 20
        fill(disk / "other", leave=4 << 20)
        time.sleep(0.5)  # free space is looked at four times a second
        assert day.create("refused", 1000)[0] == 503
        code, status = day.create("refused", 1000)
        assert (code, status["kind"], status["reason"]) == (503, "Status", "ServiceUnavailable")
        assert "the shard takes no writes: the disk is nearly full" in status["message"]
        assert day.get("n0")[0] == 200
        assert len(day.names()) == 20
        assert day.delete("n0")[0] == 200
        assert day.metric('apiserver_request_total{code="503",verb="create"}') >= 2
        assert "ReadOnly" in shards_list(day)
        assert day.metric('kcp_shard_read_only{shard="1"}') == 1
        (disk / "other").unlink()
        until(lambda: day.create("after")[0] == 201)
        assert "ReadOnly" not in shards_list(day)
        assert day.names() == sorted([*(f"n{n}" for n in range(1, 20)), "after"])


def test_a_disk_without_a_single_byte_left_refuses_writes_and_recovers(tmp_path: Path) -> None:
    day = BadDay(tmp_path / "disk" / "kcp")
    day.environment["KCP_SHARD_SETTINGS"] = SMALL_STORE.replace("reserved_bytes=8388608", "reserved_bytes=0")
    with small_disk(tmp_path / "disk", 64) as disk, day.running():
        shard = day.process("shard").pid
        created = [name for n in range(20) if day.create(name := f"n{n}", 1000)[0] == 201]
        fill(disk / "other", leave=0)
        refused = []
        for n in range(40):
            code, status = day.create(f"late{n}", 20_000)
            if code == 201:
                created.append(f"late{n}")
            else:
                refused.append(status["message"])
        assert refused and all("the shard takes no writes: the disk" in message for message in refused), refused
        assert day.names() == sorted(created)
        (disk / "other").unlink()
        until(lambda: day.create("after")[0] == 201)
        assert day.names() == sorted([*created, "after"])
        assert day.process("shard").pid == shard


def test_a_disk_that_turns_read_only_refuses_writes_and_reads_on(tmp_path: Path) -> None:
    day = BadDay(tmp_path / "kcp")
    day.environment["KCP_FAILPOINTS"] = "writer.before_write=readonly@60"
    created: list[str] = []
    with day.running():
        while (answer := day.create(f"n{len(created)}"))[0] == 201:
            created.append(f"n{len(created)}")
        assert "the disk does not take writes: Read-only file system" in answer[1]["message"]
        for _ in range(3):
            code, status = day.delete("n0")
            assert (code, status["reason"]) == (503, "ServiceUnavailable")
        assert len(day.names()) == len(created) > 20
        assert day.metric('kcp_shard_read_only{shard="1"}') == 1
        assert day.metric('kcp_shard_disk_mounted_read_only{shard="1"}') == 0  # the disk is only said to be
        assert day.get("n0")[0] == 200
    del day.environment["KCP_FAILPOINTS"]
    with day.running():
        assert day.names() == sorted(created)
        assert day.create("after")[0] == 201


def test_a_read_only_disk_at_the_start_is_refused_in_a_sentence(tmp_path: Path) -> None:
    day = BadDay(tmp_path / "kcp")
    with day.running():
        assert day.create("kept")[0] == 201
    mount("--bind", str(day.data), str(day.data))
    try:
        mount("-o", "remount,bind,ro", str(day.data))
        command = [sys.executable, "-P", "-m", "kcp", "start", "--root-directory", str(day.root)]
        command += ["--listen", "127.0.0.1:0"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    finally:
        subprocess.run(["umount", "--lazy", str(day.data)], check=True)
    assert done.returncode != 0
    assert "Read-only file system" in done.stderr and "Traceback" not in done.stderr, done.stderr
    with day.running():
        assert day.get("kept")[0] == 200


def shards_list(day: BadDay) -> str:
    command = [sys.executable, "-P", "-m", "kcp", "shards", "list", "--root-directory", str(day.root)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
