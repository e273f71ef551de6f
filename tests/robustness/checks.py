"""One small checker per promise. Each yields a sentence for every breach it finds.

Revisions of a shard are its order of commits, so no order has to be searched for: events seen by any watch, and answers
of acknowledged writes, are put together by revision and everything else is compared with that.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from tests.robustness.history import History, Operation, Watch

WRITES = ("create", "update", "patch", "delete")
NAMESPACES = ["default", "kube-public", "kube-system"]  # what a logical cluster is born with


@dataclass
class Truth:
    """What happened in one logical cluster, by revision: name and value, None for a deletion."""

    changes: dict[int, tuple[str, str | None]] = field(default_factory=dict)
    by_name: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def seal(self) -> "Truth":
        for revision in sorted(self.changes):
            self.by_name[self.changes[revision][0]].append(revision)
        return self

    def state(self, name: str, revision: int) -> tuple[int, str] | None:
        """The object as of a revision."""
        revisions = self.by_name.get(name, [])
        place = bisect_right(revisions, revision)
        if not place:
            return None
        value = self.changes[revisions[place - 1]][1]
        return None if value is None else (revisions[place - 1], value)


def truth(history: History, cluster: str) -> Truth:
    found = Truth()
    for watch in history.watches:
        if watch.cluster == cluster:
            for event in watch.events:
                if event.type != "BOOKMARK":
                    found.changes[event.revision] = (event.name, None if event.type == "DELETED" else event.value)
    for operation in history.operations:
        if (
            operation.cluster == cluster
            and operation.verb in WRITES
            and operation.outcome == "ok"
            and operation.revision
        ):
            value = None if operation.verb == "delete" else operation.value
            found.changes.setdefault(operation.revision, (operation.name, value))
    return found.seal()


def acknowledged_writes_present(history: History) -> Iterator[str]:
    """Every acknowledged write is in the log as some watch shows it, and the last one on a name is the final state."""
    for cluster in history.clusters():
        seen = {
            e.revision: e for w in history.watches if w.cluster == cluster for e in w.events if e.type != "BOOKMARK"
        }
        watched_to = max((e.revision for w in history.watches if w.cluster == cluster for e in w.events), default=0)
        facts = truth(history, cluster)
        for o in history.operations:
            if o.cluster != cluster or o.outcome != "ok" or o.verb not in WRITES or not o.revision:
                continue
            event = seen.get(o.revision)
            if event is None and o.revision <= watched_to:
                yield f"{cluster}/{o.name}: acknowledged {o.verb} at {o.revision} is in no watch"
            elif event is not None and (event.name != o.name or (o.verb != "delete" and event.value != o.value)):
                yield f"{cluster}/{o.name}: acknowledged {o.verb} at {o.revision} shows as {event}"
        names = set(facts.by_name) | set(history.final.get(cluster, {}))
        for name in sorted(names):
            last, final = facts.state(name, 1 << 63), history.final.get(cluster, {}).get(name)
            if last != (tuple(final) if final else None):
                yield f"{cluster}/{name}: final state {final}, but the last change leaves {last}"


def order_of_commits(history: History) -> Iterator[str]:
    """A write that began after another one's answer has the higher revision (linearizable order)."""
    for cluster in history.clusters():
        done = [
            o
            for o in history.operations
            if o.cluster == cluster and o.verb in WRITES and o.outcome == "ok" and o.revision
        ]
        latest_call = 0.0
        for o in sorted(done, key=lambda o: o.revision):
            if o.returned < latest_call:
                yield f"{cluster}/{o.name}: revision {o.revision} was answered before a lower one was asked for"
            latest_call = max(latest_call, o.called)


def written_once(history: History) -> Iterator[str]:
    """No write took effect twice (a repeat after a lost answer), and no refused write took effect."""
    for cluster in history.clusters():
        facts = truth(history, cluster)
        values = Counter(v for _, v in facts.changes.values() if v is not None)
        # Deletion is not counted: its value is the deleted object's.
        for value, count in values.items():
            if count > 1:
                yield f"{cluster}: the write of {value!r} took effect {count} times"
        for o in history.operations:
            if (
                o.cluster == cluster
                and o.outcome == "refused"
                and o.verb in ("create", "update", "patch")
                and o.value in values
            ):
                yield f"{cluster}/{o.name}: a refused {o.verb} of {o.value!r} took effect"


def _events_of(watch: Watch) -> Iterator[tuple[int, str]]:
    for event in watch.events:
        if event.type != "BOOKMARK":
            yield event.revision, event.name


def watch_order(history: History) -> Iterator[str]:
    """Revisions of a watch only grow: nothing repeated, nothing reordered."""
    for watch in history.watches:
        last = watch.start
        for revision, name in _events_of(watch):
            if revision == last:
                yield f"{watch.cluster}/{name}: watch {watch.client} got revision {revision} again"
            elif revision < last:
                yield f"{watch.cluster}/{name}: watch {watch.client} got {revision} after {last}"
            last = max(last, revision)


def watch_complete(history: History) -> Iterator[str]:
    """Between its start and its last event, a watch shows every change that anybody knows of."""
    for cluster in history.clusters():
        known = sorted(truth(history, cluster).changes)
        for watch in history.watches:
            if watch.cluster != cluster:
                continue
            got = {r for r, _ in _events_of(watch)}
            upto = max((e.revision for e in watch.events), default=0)
            for revision in known:
                if watch.start < revision <= upto and revision not in got:
                    yield f"{cluster}: watch {watch.client} lost revision {revision}"


def watch_types(history: History) -> Iterator[str]:
    """ADDED what was absent, MODIFIED and DELETED what was present."""
    for watch in history.watches:
        facts = truth(history, watch.cluster)
        for event in watch.events:
            if event.type == "BOOKMARK":
                continue
            existed = facts.state(event.name, event.revision - 1) is not None
            if existed == (event.type == "ADDED"):
                yield f"{watch.cluster}/{event.name}: {event.type} at {event.revision}, but it existed: {existed}"


def watch_foreign(history: History) -> Iterator[str]:
    """No object of another logical cluster."""
    for watch in history.watches:
        for event in watch.events:
            if event.type != "BOOKMARK" and event.origin != watch.cluster:
                yield f"watch {watch.client} of {watch.cluster} got {event.name} of {event.origin}"


def bookmarks_true(history: History) -> Iterator[str]:
    """A bookmark promises that everything up to it has been given."""
    for watch in history.watches:
        known = sorted(truth(history, watch.cluster).changes)
        given: set[int] = set()
        for event in watch.events:
            if event.type != "BOOKMARK":
                given.add(event.revision)
                continue
            for revision in known:
                if watch.start < revision <= event.revision and revision not in given:
                    yield f"{watch.cluster}: bookmark {event.revision} before event {revision} in watch {watch.client}"
                    break


class Acknowledged:
    """The highest revision acknowledged before a time."""

    def __init__(self, writes: list[Operation]) -> None:
        ordered = sorted((o for o in writes if o.revision), key=lambda o: o.returned)
        self.times = [o.returned for o in ordered]
        self.highest = list(accumulate((o.revision for o in ordered), max))

    def before(self, when: float) -> int:
        place = bisect_left(self.times, when)
        return self.highest[place - 1] if place else 0


def acknowledged_deletes_present(history: History) -> Iterator[str]:
    """An answer to a deletion carries no revision: look for a DELETED between what was known before and asked after."""
    for cluster in history.clusters():
        facts = truth(history, cluster)
        mine = [o for o in history.operations if o.cluster == cluster and o.outcome == "ok"]
        writes = [o for o in mine if o.verb in WRITES and o.revision]
        acknowledged = Acknowledged(writes)
        by_call = sorted(writes, key=lambda o: o.called)
        calls = [o.called for o in by_call]
        # lowest[i]: the lowest revision among writes called at or after the i-th call
        lowest = [*accumulate((o.revision for o in reversed(by_call)), min)][::-1]
        for o in mine:
            if o.verb != "delete":
                continue
            place = bisect_left(calls, o.returned)
            ceiling = lowest[place] if place < len(lowest) else 1 << 63
            floor = acknowledged.before(o.called)
            if not any(floor < r < ceiling and facts.changes[r][1] is None for r in facts.by_name.get(o.name, [])):
                yield f"{cluster}/{o.name}: acknowledged delete between {floor} and {ceiling} is in no watch"


def reads_fresh(history: History) -> Iterator[str]:
    """A read shows the state at some revision not older than what was acknowledged when it began."""
    for cluster in history.clusters():
        facts = truth(history, cluster)
        mine = [o for o in history.operations if o.cluster == cluster and o.outcome == "ok"]
        writes = [o for o in mine if o.verb in WRITES and o.revision]
        acknowledged = Acknowledged(writes)
        by_name = {name: Acknowledged([w for w in writes if w.name == name]) for name in {o.name for o in mine}}
        for o in mine:
            if o.verb == "get":
                yield from _check_get(o, facts, by_name[o.name].before(o.called))
            elif o.verb == "list":
                yield from _check_list(o, facts, acknowledged.before(o.called))


def _check_get(o: Operation, facts: Truth, floor: int) -> Iterator[str]:
    revisions = facts.by_name.get(o.name, [])
    later = [r for r in revisions if r >= floor]
    states = [facts.state(o.name, floor), *(facts.state(o.name, r) for r in later)]
    if ((o.revision, o.value) if o.revision else None) not in states:
        yield f"{o.cluster}/{o.name}: stale or invented read {o.revision} {o.value!r}, acknowledged was {floor}"


def _check_list(o: Operation, facts: Truth, floor: int) -> Iterator[str]:
    if o.revision < floor:
        yield f"{o.cluster}: stale list at {o.revision}, acknowledged was {floor}"
    for name in set(facts.by_name) | set(o.items):
        expected, got = facts.state(name, o.revision), o.items.get(name)
        if expected != (tuple(got) if got else None):
            yield f"{o.cluster}/{name}: list at {o.revision} shows {got}, the state was {expected}"


def births_whole(history: History) -> Iterator[str]:
    """A logical cluster comes to life in one piece, with its first object, or not at all."""
    for birth in history.births:
        found = tuple(birth.found) if birth.found else None
        if birth.outcome == "ok" and found != (birth.revision, birth.value):
            yield f"{birth.cluster}: born with {birth.value!r} at {birth.revision}, found {found}"
        elif found is not None and found[1] != birth.value:
            yield f"{birth.cluster}: {birth.value!r} was written, found {found}"
        expected = NAMESPACES if found is not None else []
        if sorted(birth.namespaces) != expected:
            yield f"{birth.cluster}: has the object: {found is not None}, but the namespaces {birth.namespaces}"


CHECKS: tuple[Callable[[History], Iterator[str]], ...] = (
    acknowledged_writes_present,
    acknowledged_deletes_present,
    order_of_commits,
    written_once,
    watch_order,
    watch_complete,
    watch_types,
    watch_foreign,
    bookmarks_true,
    reads_fresh,
    births_whole,
)


def judge(history: History) -> list[str]:
    return [f"{check.__name__}: {breach}" for check in CHECKS for breach in check(history)]
