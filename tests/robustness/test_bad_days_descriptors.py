"""No file descriptors left, in a front and in a shard."""

import resource
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.robustness.bad_day import BadDay, until

pytestmark = [pytest.mark.process, pytest.mark.slow]
RESERVED = 64  # descriptors that a front keeps for itself; twice as many must be free before it accepts again


def limit_descriptors(pid: int, number: int) -> None:
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (number, hard))


def test_a_front_without_descriptors_serves_whom_it_has_and_accepts_again_later(tmp_path: Path) -> None:
    with BadDay(tmp_path / "kcp").running() as day:
        front = day.process("front")
        kept = day.connect()
        assert day.ask("GET", "/readyz", connection=kept)[0] == 200
        limit_descriptors(front.pid, front.num_fds() + 2 * RESERVED + 20)
        host, _, port = day.tier.server.removeprefix("https://").rpartition(":")
        with ExitStack() as opened:
            for _ in range(200):  # most stay in the kernel's backlog
                opened.enter_context(socket.create_connection((host, int(port)), timeout=5))
            until(lambda: day.metric("kcp_front_accept_pauses_total", kept) >= 1)
            assert day.ask("GET", "/readyz", connection=kept)[0] == 500
            code, _ = day.ask("GET", "/api/v1/namespaces", connection=kept)
            assert code == 200
        until(lambda: day.ask("GET", "/readyz")[0] == 200)
        assert day.create("after")[0] == 201
        assert day.process("front").pid == front.pid
        assert "no file descriptors left" in day.tier.log()
        kept.close()


def test_a_shard_without_descriptors_loses_nothing_and_takes_writes_again(tmp_path: Path) -> None:
    with BadDay(tmp_path / "kcp").running() as day:
        shard = day.process("shard")
        assert day.create("first")[0] == 201
        before, _ = resource.prlimit(shard.pid, resource.RLIMIT_NOFILE)
        limit_descriptors(shard.pid, shard.num_fds())
        created, refused = ["first"], []
        for n in range(300):  # enough for RocksDB to want new files
            code, answer = day.create(f"n{n}", 20_000)
            if code == 201:
                created.append(f"n{n}")
            else:
                refused.append((code, answer["message"]))
            if len(refused) == 3:
                break
        assert all(code in (503, 504) for code, _ in refused), refused
        if shard.is_running():
            limit_descriptors(shard.pid, before)
        until(lambda: day.create("after")[0] == 201, 60)
        assert day.names() == sorted([*created, "after"])
        print(f"{len(created)} created, {refused}, the process went on: {shard.is_running()}")
