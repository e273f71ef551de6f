"""The shard's revision counter: follows the wall clock, never goes back. Takes the time as an argument."""

from kcpshard.api.errors import ServiceUnavailable
from kcpshard.api.resource_versions import next_revision, revision_at, revision_microseconds
from kcpshard.settings import Settings


class ClockBehind(Exception):
    """The wall clock is further behind the newest stored revision than the shard accepts."""


class RevisionClock:
    """`last` is the newest revision assigned or promised away; every later commit is above it."""

    __slots__ = ("_settings", "_shard", "last")

    def __init__(self, shard: int, settings: Settings, stored: int, now_us: int) -> None:
        """Raises ClockBehind unless the operator has accepted the clock."""
        behind_us = revision_microseconds(stored) - now_us
        if behind_us > settings.clock_ahead_us and not settings.accept_clock:
            raise ClockBehind(
                f"the clock of this machine is {behind_us / 1e6:.1f} s behind the newest revision stored; set the "
                "clock right, or start with --accept-clock to go on counting from that revision"
            )
        self._shard, self._settings = shard, settings
        self.last = max(stored, revision_at(now_us, shard))

    def next(self, now_us: int) -> int:
        self.last = next_revision(self.last, now_us, self._shard)
        return self.last

    def raise_to(self, revision: int, now_us: int) -> bool:
        """Make later revisions exceed `revision`; True if that is in the future, so that it must be written down."""
        if revision <= self.last:
            return False
        ahead_us = revision_microseconds(revision) - now_us
        if ahead_us > self._settings.clock_ahead_us and not self._settings.accept_clock:
            raise ServiceUnavailable(
                f"the revision {revision} is {ahead_us / 1e6:.1f} s ahead of this shard's clock", retry_after_s=1
            )
        self.last = revision
        return ahead_us >= 0
