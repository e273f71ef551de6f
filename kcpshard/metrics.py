"""What a shard measures of its own process, for `Statistics`. Fronts show it (`kcpfront/shard_metrics.py`)."""

import os
import resource
import time
from collections.abc import Mapping

from kcpshard.loop_stalls import LoopStalls


class WallClock:
    """How far the wall clock was moved since the start, by the monotonic one, which nobody can move."""

    def __init__(self, wall: float, monotonic: float) -> None:
        self._offset = wall - monotonic

    def moved(self, wall: float, monotonic: float) -> float:
        """Seconds; negative: backwards."""
        return wall - monotonic - self._offset


class ProcessMetrics:
    """`start` in a running loop; `stop` before it ends. `directory` is where the data is; empty: in memory."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self.loop = LoopStalls()
        self.clock = WallClock(time.time(), time.monotonic())
        self.compaction_ended = 0.0
        self.compactions_failed = 0

    def start(self) -> None:
        self.loop.start()

    def stop(self) -> None:
        self.loop.stop()

    def compacted(self) -> None:
        self.compaction_ended = time.time()

    def clock_statistics(self) -> Mapping[str, float]:
        return {"moved_seconds": self.clock.moved(time.time(), time.monotonic())}

    def statistics(self) -> Mapping[str, object]:
        return {
            "loop_stall_seconds": self.loop.stalls.longest,
            "loop_stalls": self.loop.stalls.as_figures(),
            "loop_holds": self.loop.holds.as_figures(),
            "resident_bytes": _resident_bytes(),
            "cpu_seconds": time.process_time(),
            "disk": self._disk(),
            "compaction": {"ended": self.compaction_ended, "failed": self.compactions_failed},
        }

    def _disk(self) -> Mapping[str, int]:
        if not self._directory:
            return {}
        found = os.statvfs(self._directory)
        return {
            "free_bytes": found.f_bavail * found.f_frsize,
            "total_bytes": found.f_blocks * found.f_frsize,
            "mounted_read_only": int(bool(found.f_flag & os.ST_RDONLY)),
        }


def _resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
