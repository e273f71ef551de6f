"""What a shard measures of its own process, for `Statistics`. Fronts show it (`kcpfront/shard_metrics.py`)."""

import asyncio
import os
import resource
import time
from collections.abc import Mapping

_HEARTBEAT_S = 0.1


class ProcessMetrics:
    """`start` in a running loop; `stop` before it ends. `directory` is where the data is; empty: in memory."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._timer: asyncio.TimerHandle | None = None
        self.loop_stall_seconds = 0.0  # the longest since the start
        self.compaction_ended = 0.0
        self.compactions_failed = 0

    def start(self) -> None:
        self._beat(asyncio.get_running_loop().time())

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def compacted(self) -> None:
        self.compaction_ended = time.time()

    def _beat(self, due: float) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self.loop_stall_seconds = max(self.loop_stall_seconds, now - due)
        self._timer = loop.call_later(_HEARTBEAT_S, self._beat, now + _HEARTBEAT_S)

    def statistics(self) -> Mapping[str, object]:
        return {
            "loop_stall_seconds": self.loop_stall_seconds,
            "resident_bytes": _resident_bytes(),
            "cpu_seconds": time.process_time(),
            "disk": self._disk(),
            "compaction": {"ended": self.compaction_ended, "failed": self.compactions_failed},
        }

    def _disk(self) -> Mapping[str, int]:
        if not self._directory:
            return {}
        found = os.statvfs(self._directory)
        return {"free_bytes": found.f_bavail * found.f_frsize, "total_bytes": found.f_blocks * found.f_frsize}


def _resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
