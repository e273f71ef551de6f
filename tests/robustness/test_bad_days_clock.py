"""The machine's clock was ahead when data was written, and an expired certificate: both at a start."""

import asyncio
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from kcp import certificates
from kcpshard.storage.object_store import Store
from kcpshard.storage.rocksdb_engine import RocksdbEngine
from tests.robustness import powerloss
from tests.robustness.bad_day import BadDay

pytestmark = [pytest.mark.process, pytest.mark.slow]
HOUR_US = 3_600_000_000


def write_an_hour_ahead(data: Path) -> None:
    """What a shard leaves whose clock is an hour fast: it starts, and writes down the revision that it starts at."""

    async def start_and_stop() -> None:
        store = Store(RocksdbEngine(str(data)), 1, lambda: time.time_ns() // 1000 + HOUR_US)
        await store.close()

    asyncio.run(start_and_stop())


def test_a_clock_stepped_back_is_refused_until_the_operator_accepts_it(tmp_path: Path) -> None:
    day = BadDay(tmp_path / "kcp")
    with day.running():
        before = int(day.create("before")[1]["metadata"]["resourceVersion"])
    write_an_hour_ahead(day.data)
    command = [sys.executable, "-P", "-m", "kcp", "start", "--root-directory", str(day.root), "--listen", "127.0.0.1:0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert "s behind the newest revision stored; set the clock right, or start with --accept-clock" in done.stderr
    day.tier._options = (*day.tier._options, "--accept-clock")
    with day.running():
        after = int(day.create("after")[1]["metadata"]["resourceVersion"])
        assert after - before > 3_500 * 10**9  # nanoseconds: it counts on from an hour ahead
        again = int(day.create("again")[1]["metadata"]["resourceVersion"])
        assert 0 < again - after < 1000 * 1_000_000
        assert day.names() == ["after", "again", "before"]


def test_a_clock_stepped_back_while_running_is_counted_over_and_told(tmp_path: Path) -> None:
    """The shards' wall clock only: a preloaded shim sets it back by an hour."""
    shift = tmp_path / "shift"
    shift.write_text("0")
    day = BadDay(tmp_path / "kcp")
    day.environment |= {"LD_PRELOAD": str(powerloss.build(tmp_path, "clock")), "CLOCK_FILE": str(shift)}
    with day.running():
        before = int(day.create("before")[1]["metadata"]["resourceVersion"])
        assert day.metric('kcp_shard_clock_ahead_seconds{shard="1"}') == 0
        assert abs(day.metric('kcp_shard_clock_moved_seconds{shard="1"}')) < 5
        shift.write_text("-3600")
        answers = [day.create(f"after{n}") for n in range(5)]
        assert [code for code, _ in answers] == [201] * 5
        versions = [before, *(int(found["metadata"]["resourceVersion"]) for _, found in answers)]
        assert versions == sorted(set(versions)) and versions[-1] - before < 60 * 10**9  # it goes on from where it was
        assert 3500 < day.metric('kcp_shard_clock_ahead_seconds{shard="1"}') < 3700
        assert -3700 < day.metric('kcp_shard_clock_moved_seconds{shard="1"}') < -3500
        shift.write_text("0")
        assert day.create("again")[0] == 201
        assert day.metric('kcp_shard_clock_ahead_seconds{shard="1"}') == 0


def test_an_expired_serving_certificate_is_renewed_at_the_start(tmp_path: Path) -> None:
    day = BadDay(tmp_path / "kcp")
    with day.running():
        assert day.create("before")[0] == 201
    pki = day.root / "pki"
    authority = certificates.Pair((pki / "serving-ca.crt").read_bytes(), (pki / "serving-ca.key").read_bytes())
    long_ago = certificates.now_utc() - timedelta(days=4000)
    expired = certificates.issue(authority, certificates.Subject("kcp front"), long_ago, ["127.0.0.1"])
    (pki / "serving.crt").write_bytes(expired.certificate)
    (pki / "serving.key").write_bytes(expired.key)
    with day.running():
        assert day.get("before")[0] == 200  # with a client that checks the certificate
        expires = day.metric("kcp_front_certificate_expiration_timestamp_seconds")
        assert expires > time.time() + 24 * 3600
