"""Every knob of a shard, with its unit in the name, its default and the reason for it.

One frozen value is built at start and handed to the parts; nothing reads it from a global. An operator may set any knob
in the environment of a shard: KCP_SHARD_SETTINGS="retention_s=7200:600:60,block_cache_bytes=268435456".
"""

import os
from dataclasses import dataclass, fields, replace

DEFAULT, EVENTS, LEASES = range(3)  # retention classes: indexes into Settings.retention_s

# Invariants whose breach would corrupt silently are checked when this is set; always on in tests.
VERIFY = os.environ.get("KCP_VERIFY", "") not in ("", "0")


@dataclass(frozen=True, slots=True)
class Settings:
    # --- storage

    # How long log records are kept, by retention class: a client that was away shorter resumes its watch without a
    # list. A day for most; events are written a lot and read once; leases are rewritten every few seconds.
    retention_s: tuple[int, ...] = (24 * 3600, 3600, 300)
    # Log bytes one logical cluster may keep within its retention: a busy tenant must not fill everybody's disk.
    retained_bytes_per_cluster: int = 256 << 20
    # Objects a scan may return in one call: 256 of 1 kB hold the loop for well under a millisecond.
    scan_slice: int = 256
    # Objects of a namespace that are counted for a list's remainingItemCount: 10 000 keys hold the loop for 3 ms, once.
    counted_objects: int = 10_000
    # A batch is written early when this much has gathered behind a running sync: about 1 ms of writing.
    write_batch_bytes: int = 128 << 10
    # Logical clusters kept ready although nobody holds them: 1 kB each, 5 kB with a few roles (authorizer.MAX_COMPILED
    # bounds those of all). Making one again, with what is known of its rights, costs half a millisecond.
    cached_clusters: int = 20_000
    # How far a revision may be ahead of the wall clock before a shard refuses: beyond it, something is wrong with a
    # clock, and every later resourceVersion of this shard would carry the error.
    clock_ahead_us: int = 500_000
    # The operator has looked at the clock and says go on (--accept-clock).
    accept_clock: bool = False
    # Clock difference allowed between a front that first sent a write and this shard, when looking for its record.
    request_clock_difference_us: int = 1_000_000
    # Below this much free space only deletions are taken: room for RocksDB to flush and compact, which frees space. Not
    # less than write_buffer_bytes, which RocksDB wants to see free before it resumes after a write that failed.
    reserved_bytes: int = 64 << 20
    # How often free space is looked at (a statvfs is 2 µs, but the answer does not change that fast).
    space_check_interval_s: float = 0.25
    # Log records compacted in one slice: about 3 ms on the loop (5 ms is the limit for anything).
    compaction_slice: int = 200
    # How often compaction looks for records past their retention; leases' five minutes set the scale.
    compaction_interval_s: float = 30.0
    # How long the data of a logical cluster that has moved away stays: a list that has begun may still read it.
    departed_grace_s: float = 65.0
    # Memory of RocksDB: unflushed writes of all families together, and blocks read from disk.
    write_buffer_bytes: int = 64 << 20
    block_cache_bytes: int = 64 << 20
    # Open table files: well under the usual limit of 1,024 descriptors, which connections need too.
    open_files: int = 256
    # Log files of at most this size in all; what is in them is replayed at start.
    wal_bytes: int = 128 << 20

    # --- watch

    # Recent commits kept in memory: fronts that reconnect resume from it without reading the log.
    watch_history_bytes: int = 16 << 20
    # Events queued for a front that does not read before its streams are cut: it resumes from the log.
    watch_queue_bytes: int = 8 << 20
    # Watches one front may have here: about 1 kB each.
    watches_per_front: int = 100_000
    # How long a watch from a revision that this shard has not reached waits for it (kube-apiserver: 3 s).
    watch_future_revision_s: float = 3.0
    # How often an idle front is told that its watches are complete up to now; bookmarks are once a minute.
    closed_revision_interval_s: float = 1.0
    # The same with a watch of many logical clusters: its events wait for the slowest shard's word.
    closed_revision_of_many_s: float = 0.05
    # How often it is looked at whether such a watch still shows what its caller may see.
    views_checked_s: float = 60.0


def adjusted(settings: Settings, text: str) -> Settings:
    """With what KCP_SHARD_SETTINGS says: name=number, numbers of a row joined by colons. Raises ValueError."""
    known = {field.name for field in fields(Settings)} - {
        "accept_clock"
    }  # that one is an option, to be typed each time
    found: dict[str, int | float | tuple[int, ...]] = {}
    for entry in filter(None, text.split(",")):
        name, _, value = entry.partition("=")
        if name not in known:
            raise ValueError(f"KCP_SHARD_SETTINGS: there is no setting {name!r}")
        found[name] = _like(getattr(settings, name), name, value)
    return replace(settings, **found)  # type: ignore[arg-type]


def _like(default: object, name: str, value: str) -> int | float | tuple[int, ...]:
    try:
        if not isinstance(default, tuple):
            return float(value) if isinstance(default, float) else int(value)
        row = tuple(map(int, value.split(":")))
    except ValueError:
        raise ValueError(f"KCP_SHARD_SETTINGS: {name} cannot be {value!r}") from None
    if len(row) != len(default):
        raise ValueError(f"KCP_SHARD_SETTINGS: {name} needs {len(default)} numbers joined by colons")
    return row
