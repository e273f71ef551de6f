import asyncio
import time
from pathlib import Path
from typing import Any

from kcpshard.metrics import ProcessMetrics, WallClock


async def test_how_long_the_loop_was_held_is_seen(tmp_path: Path) -> None:
    metrics = ProcessMetrics(str(tmp_path))
    metrics.start()
    try:
        time.sleep(0.25)
        await asyncio.sleep(0.01)
        assert 0.1 < metrics.loop.stalls.longest < 5
    finally:
        metrics.stop()


def test_process_disk_and_compaction(tmp_path: Path) -> None:
    metrics = ProcessMetrics(str(tmp_path))
    metrics.compacted()
    metrics.compactions_failed += 1
    found: Any = metrics.statistics()
    assert found["resident_bytes"] > 1_000_000
    assert found["cpu_seconds"] > 0
    assert 0 < found["disk"]["free_bytes"] <= found["disk"]["total_bytes"]
    assert found["disk"]["mounted_read_only"] == 0
    assert found["compaction"]["failed"] == 1
    assert abs(found["compaction"]["ended"] - time.time()) < 5


def test_a_shard_in_memory_has_no_disk() -> None:
    assert ProcessMetrics("").statistics()["disk"] == {}


def test_a_clock_that_was_moved_is_seen() -> None:
    clock = WallClock(wall=1000.0, monotonic=50.0)
    assert clock.moved(1010.0, 60.0) == 0
    assert clock.moved(1010.0 - 3600, 60.0) == -3600
