"""Every metric of a front. Counters on the hot path are plain integers, read when somebody asks."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from kcpfront.audit.trail import AuditCounts
from kcpfront.shard_metrics import Figures, loop_histograms, shard_metrics
from kcpshard.loop_stalls import LoopStalls

_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

SHARD_COUNTS = {
    "lists": ("kcp_front_shard_lists", "Lists asked of a shard, for clients or for ourselves"),
    "sent_again": ("kcp_front_shard_requests_sent_again", "Requests sent again after a lost stream"),
    "streams_opened": ("kcp_front_shard_streams_opened", "Session streams opened"),
    "watch_links_opened": ("kcp_front_shard_watch_links_opened", "Pairs of watch streams opened"),
    "watches_resumed": ("kcp_front_shard_watches_resumed", "Watches started again from what they had delivered"),
}


class Metrics(Collector):
    """Per (verb, code): how many and how long. The number of pairs is bounded by the verbs and codes there are."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, int], int] = {}
        self._durations: dict[str, list[float]] = {}  # verb → counts per bound, beyond, sum
        self.connections: Callable[[], int] = lambda: 0
        self.watches: Callable[[], int] = lambda: 0
        self.shards: Callable[[], Mapping[int, Mapping[str, int]]] = dict  # shard → counts by the names in SHARD_COUNTS
        self.ask_shards: Callable[[], Awaitable[Figures]] = _no_shards
        self._of_shard: Figures = {}
        self.slow_watches_cut = 0
        self.accept_pauses = 0  # times the process had no file descriptor left for a new connection
        self.certificate_reloads = 0
        self.certificate_not_after: Callable[[], float] = lambda: 0.0
        self.panics = 0
        self.audit: Callable[[], AuditCounts] | None = None  # None: nothing is recorded
        self.loop = LoopStalls()
        self._registry = CollectorRegistry()
        self._registry.register(self)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)

    def answered(self, verb: str, code: int, seconds: float) -> None:
        key = (verb, code)
        self.requests[key] = self.requests.get(key, 0) + 1
        row = self._durations.get(verb)
        if row is None:
            row = self._durations[verb] = [0.0] * (len(_BOUNDS) + 2)
        row[-1] += seconds
        for index, bound in enumerate(_BOUNDS):
            if seconds <= bound:
                row[index] += 1
                return
        row[-2] += 1

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily("apiserver_request", "Requests answered", labels=["verb", "code"])
        for (verb, code), count in self.requests.items():
            requests.add_metric([verb, str(code)], count)
        yield requests
        durations = HistogramMetricFamily(
            "apiserver_request_duration_seconds", "From head to answer, without watches", labels=["verb"]
        )
        for verb, row in self._durations.items():
            durations.add_metric([verb], _cumulative(row), sum_value=row[-1])
        yield durations
        yield GaugeMetricFamily("kcp_front_connections", "Open client connections", self.connections())
        yield GaugeMetricFamily("apiserver_longrunning_requests", "Open watches", self.watches())
        yield from self._of_shards()
        yield from shard_metrics(self._of_shard)
        yield CounterMetricFamily("kcp_front_slow_watches_cut", "Watches cut: client too slow", self.slow_watches_cut)
        yield CounterMetricFamily(
            "kcp_front_accept_pauses", "Pauses in accepting: no file descriptor left", self.accept_pauses
        )
        yield CounterMetricFamily("kcp_front_certificate_reloads", "Certificates re-read", self.certificate_reloads)
        yield GaugeMetricFamily(
            "kcp_front_certificate_expiration_timestamp_seconds",
            "End of the serving certificate's validity",
            self.certificate_not_after(),
        )
        yield CounterMetricFamily("kcp_front_panics", "Requests that ended in an unexpected exception", self.panics)
        yield from self._of_audit()
        yield GaugeMetricFamily(
            "loop_stall_seconds_longest", "Longest time the event loop came to nobody", self.loop.stalls.longest
        )
        yield from loop_histograms("loop", {(): (self.loop.stalls.as_figures(), self.loop.holds.as_figures())})

    def _of_audit(self) -> Iterator[Metric]:
        if self.audit is None:
            return
        events, lost = self.audit()
        yield CounterMetricFamily("apiserver_audit_event", "Audit records made", events)
        errors = CounterMetricFamily("apiserver_audit_error", "Times records could not be kept", labels=["plugin"])
        dropped = CounterMetricFamily("kcp_front_audit_dropped", "Audit records lost", labels=["plugin"])
        for plugin, (failed, records) in lost.items():
            errors.add_metric([plugin], failed)
            dropped.add_metric([plugin], records)
        yield errors
        yield dropped

    def _of_shards(self) -> Iterator[Metric]:
        counts = self.shards()
        for name, (metric, text) in SHARD_COUNTS.items():
            family = CounterMetricFamily(metric, text, labels=["shard"])
            for shard, found in counts.items():
                family.add_metric([str(shard)], found[name])
            yield family

    async def gather(self) -> bytes:
        """Everything, with what the shards say now. Many shards have much to say: a family in each turn of the loop."""
        self._of_shard = await self.ask_shards()
        written = []
        for family in self._registry.collect():
            written.append(generate_latest(_Families((family,))))
            await asyncio.sleep(0)
        return b"".join(written)

    @staticmethod
    def of_levels(levels: Sequence[Mapping[str, Any]]) -> bytes:
        """Of the priority levels of one logical cluster, under the names that kube-apiserver gives them."""
        families = []
        for member, name, text in _LEVEL_FIGURES:
            family = GaugeMetricFamily(f"apiserver_flowcontrol_{name}", text, labels=["priority_level"])
            for level in levels:
                family.add_metric([level["name"]], level[member])
            families.append(family)
        return generate_latest(_Families(families)) if levels else b""

    def text(self) -> bytes:
        return generate_latest(self._registry)


_LEVEL_FIGURES = (
    ("seats", "nominal_limit_seats", "Seats of the level, before lending"),
    ("executing", "current_executing_seats", "Seats taken by requests that are being answered"),
    ("waiting", "current_inqueue_requests", "Requests that wait for a seat"),
)


class _Families(CollectorRegistry):
    """What is to be written once."""

    def __init__(self, families: Sequence[Metric]) -> None:
        super().__init__()
        self._once = families

    def collect(self) -> Iterator[Metric]:
        return iter(self._once)


async def _no_shards() -> Figures:
    return {}


def _cumulative(row: list[float]) -> list[tuple[str, float]]:
    found, total = [], 0.0
    for bound, count in zip((*map(str, _BOUNDS), "+Inf"), row[:-1], strict=True):
        total += count
        found.append((bound, total))
    return found
