from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpshard.storage import envelope
from kcpshard.storage.contract import Compacted
from kcpshard.watch.cursor import MAX_LIMIT, Cursor, Occurrence, Phase, decode_position, encode_position, just_before
from kcpshard.watch.history import History
from kcpshard.watch.selection import Form, Selection
from tests.contracts.stored_objects import put
from tests.contracts.watch_tier import WatchTier

FORM = Form(envelope, "v1", lambda json: json)


def cursor(tier: WatchTier, phase: Phase, revision: int = 0, selection: Selection | None = None) -> Cursor[Any]:
    return Cursor(tier.cluster("root"), "configmaps", 0, selection or Selection(FORM), phase, revision)


def drain(cursor: Cursor[Any], tier: WatchTier, history: History | None = None) -> tuple[list[Occurrence], list[int]]:
    """All events, and the revisions at which initial events were done."""
    events, done = [], []
    for _ in range(1_000):
        step = cursor.step(tier.store, history or History(1 << 62, 1))
        events += step.events
        done += [step.initial_done] if step.initial_done else []
        if step.caught_up:
            return events, done
    raise AssertionError("never caught up")


async def test_initial_events_are_one_state_in_key_order() -> None:
    tier = WatchTier()
    tier.bear("root", *(put(f"n{n:03d}", namespace=f"s{n % 3}") for n in range(300)))
    await tier.settled()
    lagging = cursor(tier, Phase.INITIAL)
    first = lagging.step(tier.store, History(1 << 62, 1))
    revision = lagging.revision
    late = await tier.committed("root", put("zz"))
    events, done = drain(lagging, tier)
    positions = [decode_position(e.position) for e in (*first.events, *events) if e.position]
    assert positions == sorted(positions)
    assert len(positions) == 300
    assert done == [revision]
    assert [e.revision for e in events if not e.position] == [late]
    assert lagging.revision == late


async def test_one_named_object_is_read_as_one() -> None:
    tier = WatchTier()
    tier.bear("root", put("a"), put("aa"), put("b"))
    await tier.settled()
    for name, found in (("a", 1), ("aa", 1), ("ab", 0)):
        events, done = drain(cursor(tier, Phase.INITIAL, selection=Selection(FORM, "default", name)), tier)
        assert (len(events), len(done)) == (found, 1)


@pytest.mark.parametrize("covered", [True, False], ids=["from the history", "from the log"])
async def test_replay_gives_what_came_after(covered: bool) -> None:
    tier = WatchTier()
    tier.bear("root", put("a"))
    await tier.settled()
    since = tier.store.durable_revision
    history = History(since, 1 << 20) if covered else History(1 << 62, 1)
    tier.store.on_commit(lambda commits: [history.append(c) for c in commits] if covered else None)
    made = [await tier.committed("root", put(f"n{n}"), put(f"e{n}", group_resource="events")) for n in range(100)]
    events, done = drain(cursor(tier, Phase.REPLAY, since), tier, history)
    assert [e.revision for e in events] == made
    assert done == []


async def test_a_compacted_place_is_the_sources_to_refuse() -> None:
    tier = WatchTier()
    tier.bear("root", put("a"))
    await tier.committed("root", put("b"))
    lagging = cursor(tier, Phase.REPLAY, tier.cluster("root").created_revision)
    tier.now_us += 10**12
    await tier.committed("root", put("c"))
    await tier.store.compact(tier.now_us)
    with pytest.raises(Compacted):
        lagging.step(tier.store, History(1 << 62, 1))


async def test_slices_shrink_for_large_objects_and_grow_for_small_ones() -> None:
    tier = WatchTier()
    tier.bear("root", *(put(f"n{n:03d}", data="x" * (60_000 if n < 100 else 10)) for n in range(1_200)))
    await tier.settled()
    lagging = cursor(tier, Phase.INITIAL)
    limits = []
    while not lagging.step(tier.store, History(1 << 62, 1)).caught_up:
        limits.append(lagging.limit)
    assert min(limits) <= 8
    assert max(limits) == MAX_LIMIT


@given(
    st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,5}[a-z0-9])?", fullmatch=True),
    st.from_regex(r"[a-z0-9.-]{1,7}", fullmatch=True),
)
def test_just_before_has_no_name_between(name: str, other: str) -> None:
    assert just_before(name) < name
    assert not just_before(name) < other < name


@given(st.from_regex(r"[a-z0-9-]{0,9}", fullmatch=True), st.from_regex(r"[a-z0-9:.-]{1,9}", fullmatch=True))
def test_positions_round_trip(namespace: str, name: str) -> None:
    assert decode_position(encode_position(namespace, name)) == (namespace, name)
