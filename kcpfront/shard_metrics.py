"""Metrics of the shards, as a front shows them: what `Statistics` of each says, by shard number.

Shards accept no HTTP; whoever scrapes a front learns about all of them. One that does not answer in time is not up and
has no other figure. Several fronts say the same: take `max by (shard)`.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from kcpshard.loop_stalls import BOUNDS

Figures = Mapping[int, Mapping[str, Any] | None]  # shard → its statistics; None: it did not answer

ANSWER_S = 1.0  # a scrape waits at most this long for the slowest shard


class _Figure(NamedTuple):
    place: str  # in the statistics, by dots
    name: str
    text: str
    counts: bool = False
    per: float = 1.0  # what is divided by to get the unit of the name


_FIGURES = (
    _Figure("loop_stall_seconds", "kcp_shard_loop_stall_seconds_longest", "Longest stall of the shard's event loop"),
    _Figure("resident_bytes", "kcp_shard_resident_memory_bytes", "Resident memory of the process"),
    _Figure("cpu_seconds", "kcp_shard_cpu_seconds", "CPU time of the process", counts=True),
    _Figure("jobs", "kcp_shard_requests_waiting", "Requests that wait for something other than a sync"),
    _Figure("disk.free_bytes", "kcp_shard_disk_free_bytes", "Free space where the shard keeps its data"),
    _Figure("disk.total_bytes", "kcp_shard_disk_size_bytes", "Size of the file system of the data"),
    _Figure(
        "disk.mounted_read_only",
        "kcp_shard_disk_mounted_read_only",
        "Whether the file system of the data is read-only: the shard is to be restarted once it is not",
    ),
    _Figure("clock.moved_seconds", "kcp_shard_clock_moved_seconds", "How far the wall clock was moved since the start"),
    _Figure(
        "clock.ahead_seconds",
        "kcp_shard_clock_ahead_seconds",
        "How far the newest revision is ahead of the wall clock: revisions count up until it catches up",
    ),
    _Figure(
        "store.durable_revision",
        "kcp_shard_durable_revision_timestamp_seconds",
        "Time in the newest durable revision",
        per=1e9,
    ),
    _Figure("store.commits", "kcp_shard_commits", "Commits since the start", counts=True),
    _Figure("store.groups", "kcp_shard_commit_groups", "Groups of commits made durable by one sync", counts=True),
    _Figure("store.pending_objects", "kcp_shard_pending_objects", "Objects written and not durable yet"),
    _Figure("store.compacted_records", "kcp_shard_compacted_log_records", "Log records compacted away", counts=True),
    _Figure("compaction.ended", "kcp_shard_compaction_timestamp_seconds", "When compaction last ran to its end"),
    _Figure("compaction.failed", "kcp_shard_compaction_failures", "Compactions stopped by the disk", counts=True),
    _Figure(
        "store.engine.log_damaged",
        "kcp_shard_log_damaged",
        "Whether the write-ahead log was damaged before its end at the start: what followed is lost",
    ),
    _Figure("store.engine.log_bytes", "kcp_shard_log_bytes", "Log in sorted files, without the memtable"),
    _Figure("store.engine.objects_bytes", "kcp_shard_objects_bytes", "Objects in sorted files, without the memtable"),
    _Figure("watch.watches", "kcp_shard_watches", "Watches served"),
    _Figure("watch.lagging", "kcp_shard_watches_lagging", "Watches that read the log because they are behind"),
    _Figure("watch.events", "kcp_shard_watch_events", "Events given to fronts", counts=True),
    _Figure("watch.cut", "kcp_shard_watch_links_cut", "Fronts cut off: they read too slowly", counts=True),
    _Figure("callouts.in_flight", "kcp_shard_callouts_in_flight", "Calls to webhooks under way"),
    _Figure("callouts.resting", "kcp_shard_callout_targets_resting", "Webhooks not asked because they keep failing"),
    _Figure("callouts.answered", "kcp_shard_callouts_answered", "Calls to webhooks that were answered", counts=True),
    _Figure("callouts.failed", "kcp_shard_callouts_failed", "Calls to webhooks that were not", counts=True),
    _Figure("callouts.seconds", "kcp_shard_callout_seconds", "Time spent waiting for webhooks", counts=True),
    _Figure("flowcontrol.executing", "kcp_shard_flowcontrol_executing", "Requests with a seat of a priority level"),
    _Figure("flowcontrol.waiting", "kcp_shard_flowcontrol_inqueue", "Requests that wait for such a seat"),
    _Figure("flowcontrol.waited", "kcp_shard_flowcontrol_queued", "Requests that had to wait for one", counts=True),
    _Figure("flowcontrol.refused", "kcp_shard_flowcontrol_rejected", "Requests refused for want of one", counts=True),
    _Figure("flowcontrol.timed_out", "kcp_shard_flowcontrol_timed_out", "Requests that waited in vain", counts=True),
    _Figure(
        "encryption.data_keys", "kcp_shard_encryption_data_keys", "Data keys that stored values may be sealed with"
    ),
    _Figure("encryption.resealed", "kcp_shard_encryption_resealed_values", "Values sealed anew", counts=True),
    _Figure("encryption.is_done", "kcp_shard_encryption_complete", "1: all values are sealed as configured"),
    _Figure(
        "encryption.key_service_failures", "kcp_shard_encryption_key_service_failures", "Failures in a row of the KMS"
    ),
    _Figure("moves.taken", "kcp_shard_moves", "Logical clusters taken from other shards", counts=True),
    _Figure("moves.failed", "kcp_shard_moves_failed", "Moves to this shard that were given up", counts=True),
    _Figure("moves.cancelled", "kcp_shard_moves_cancelled", "Moves to this shard that were cancelled", counts=True),
    _Figure("moves.begun_anew", "kcp_shard_moves_begun_anew", "Copies that were not exact and made anew", counts=True),
    _Figure("slots", "kcp_shard_slots", "Slots owned"),
    _Figure("ownershipEpoch", "kcp_shard_ownership_epoch", "Epoch of the shard's ownership record"),
    _Figure("mapEpoch", "kcp_shard_map_epoch", "Epoch of the shard's copy of the map"),
)


def shard_metrics(figures: Figures) -> Iterator[Metric]:
    up = GaugeMetricFamily("kcp_shard_up", "Whether the shard answered within a second", labels=["shard"])
    read_only = GaugeMetricFamily("kcp_shard_read_only", "Whether the disk refuses writes", labels=["shard"])
    for shard, found in figures.items():
        up.add_metric([str(shard)], float(found is not None))
        if found is not None:
            read_only.add_metric([str(shard)], float(bool(_at(found, "store.read_only"))))
    yield from (up, read_only)
    for figure in _FIGURES:
        family = (CounterMetricFamily if figure.counts else GaugeMetricFamily)(
            figure.name, figure.text, labels=["shard"]
        )
        for shard, found in figures.items():
            value = _at(found, figure.place)
            if value is not None:
                family.add_metric([str(shard)], value / figure.per)
        yield family
    yield from _webhook_metrics(figures)
    loops = {
        (str(shard),): (found["loop_stalls"], found["loop_holds"])
        for shard, found in figures.items()
        if found is not None and "loop_holds" in found
    }
    yield from loop_histograms("kcp_shard_loop", loops, ("shard",))
    yield _histogram(
        figures, "moves.pause_seconds", "kcp_shard_move_pause_seconds",
        "How long nobody could write to a logical cluster that this shard took over",
    )  # fmt: skip
    yield _histogram(
        figures, "moves.pause_records", "kcp_shard_move_pause_records", "Log records copied meanwhile"
    )  # fmt: skip


_OF_WEBHOOKS = (
    ("exclusions", "match_condition_exclusions", "Questions that a matchCondition kept from a webhook"),
    ("condition_errors", "match_condition_evaluation_errors", "Questions whose matchConditions could not be evaluated"),
    ("failed_open", "webhook_evaluations_fail_open", "Questions that others decided because a webhook failed"),
    ("seconds", "webhook_seconds", "Time spent waiting for a webhook"),
)


def _webhook_metrics(figures: Figures) -> Iterator[Metric]:
    """Of authorisation webhooks, by their names in the configuration."""
    calls = CounterMetricFamily(
        "kcp_shard_authorization_webhook_evaluations", "Calls to a webhook", labels=["shard", "name", "result"]
    )
    others = [
        (member, CounterMetricFamily(f"kcp_shard_authorization_{name}", text, labels=["shard", "name"]))
        for member, name, text in _OF_WEBHOOKS
    ]
    for shard, found in figures.items():
        for name, webhook in ((found or {}).get("authorization_webhooks") or {}).items():
            for result, count in webhook["calls"].items():
                calls.add_metric([str(shard), name, result], count)
            for member, family in others:
                family.add_metric([str(shard), name], webhook[member])
    yield calls
    yield from (family for _, family in others)


def _histogram(figures: Figures, place: str, name: str, text: str) -> Metric:
    """Of figures that bring their bounds, by shard."""
    family = HistogramMetricFamily(name, text, labels=["shard"])
    for shard, found in figures.items():
        value = _at(found, place)
        if value is not None:
            bounds = (*map(str, value["bounds"]), "+Inf")
            counts = accumulate(map(float, value["counts"]))
            family.add_metric([str(shard)], list(zip(bounds, counts, strict=True)), sum_value=value["sum"])
    return family


Loops = Mapping[Any, tuple[Mapping[str, Any], Mapping[str, Any]]]  # by the labels' values


def loop_histograms(name: str, loops: Loops, labels: Sequence[str] = ()) -> Iterator[Metric]:
    """Stalls and holds (`kcpshard.loop_stalls`) by the values of `labels`."""
    stalls = HistogramMetricFamily(f"{name}_stall_seconds", "How late the event loop was", labels=labels)
    holds = HistogramMetricFamily(f"{name}_hold_seconds", "The same, by its own use of the CPU only", labels=labels)
    for values, found in loops.items():
        for family, figures in zip((stalls, holds), found, strict=True):
            family.add_metric(values, _cumulative(figures["counts"]), sum_value=figures["sum"])
    yield from (stalls, holds)


def _cumulative(counts: Sequence[int]) -> list[tuple[str, float]]:
    bounds = (*map(str, BOUNDS), "+Inf")
    return list(zip(bounds, accumulate(map(float, counts)), strict=True))


def _at(found: Any, place: str) -> Any:
    """None where a shard of another version does not have it."""
    for name in place.split("."):
        found = found.get(name) if type(found) is dict else None  # a thousand looks at each scrape
    return found
