import asyncio
from typing import Any

import orjson
import pytest

from kcpshard.api.errors import TooManyRequests
from kcpshard.local_watch import LocalWatchTransport
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.messages import PROTOCOL
from kcpshard.rpc.watch_client import WatchClient
from kcpshard.settings import Settings
from kcpshard.watch_link import MAX_BYTES, MAX_EVENTS, FrontLink, LinkClosed, _Messages
from kcpshard.watch_service import WatchService
from tests.contracts import converting
from tests.contracts.stored_objects import put
from tests.contracts.watch_tier import Reader, WatchTier, start


@pytest.fixture
async def tier() -> WatchTier:
    tier = WatchTier(Settings(watches_per_front=3, watch_future_revision_s=0.05))
    tier.bear("root", put("a"))
    await tier.settled()
    return tier


def ask(link: FrontLink, *controls: pb.StartWatch | int) -> None:
    wrapped = [pb.WatchControl(stop=c) if isinstance(c, int) else pb.WatchControl(start=c) for c in controls]
    link.receive(pb.WatchControlBatch(controls=wrapped))


def said(batches: list[pb.WatchBatch]) -> list[str]:
    words = []
    for batch in batches:
        words += [f"started {s.watch}" for s in batch.started]
        words += [f"event {e.position or e.revision}" for e in batch.events]
        words += [f"initial {d.watch}" for d in batch.initial_done]
        words += [f"joined {j.watch}" for j in batch.joined]
        words += [f"ended {e.watch}" for e in batch.ended]
    return words


async def test_a_small_watch_is_caught_up_in_one_message(tier: WatchTier) -> None:
    link = tier.service.open()
    ask(link, start(id=1, initial=True))
    batches = await link.next_catch_up()
    assert len(batches) == 1
    assert said(batches) == ["started 1", "event default/a", "initial 1", "joined 1"]
    link.close()


async def test_messages_are_bounded_and_a_revision_is_whole(tier: WatchTier) -> None:
    many = [put(f"n{n:04d}", data="x" * 2_000) for n in range(400)]
    before = tier.store.durable_revision
    await tier.committed("root", *many)
    link = tier.service.open()
    ask(link, start(id=1, initial=True), start(id=2, revision=before))
    batches: list[pb.WatchBatch] = []
    while "joined 1" not in said(batches) or "joined 2" not in said(batches):
        batches += await link.next_catch_up()
    initial = [b for b in batches if all(e.position for e in b.events)]
    assert max(b.ByteSize() for b in initial) <= MAX_BYTES + 50_000
    assert max(len(b.events) for b in initial) <= MAX_EVENTS
    assert sum(1 for b in batches if any(e.watches[0] == 2 for e in b.events)) == 1, "one revision, one message"
    link.close()


async def test_a_commit_that_becomes_durable_after_the_join_is_live(tier: WatchTier) -> None:
    link = tier.service.open()
    ask(link, start(id=1, initial=True))
    revision = tier.store.durable_revision
    tier.commit("root", put("b"))  # not durable yet
    batches = link.take_catch_up()
    await tier.settled()
    assert said(batches) == ["started 1", "event default/a", "initial 1", "joined 1"]
    live = link.take_live()
    assert live is not None
    assert [e.revision for e in live.events] == [tier.store.durable_revision]
    assert live.closed_revision == tier.store.durable_revision > revision
    link.close()


async def test_a_stop_overtakes_its_start(tier: WatchTier) -> None:
    link = tier.service.open()
    ask(link, start(id=1, initial=True), 1)
    assert link.take_catch_up() == []
    assert link.link.watches == {}
    link.close()


async def test_too_many_watches_of_one_front_are_refused(tier: WatchTier) -> None:
    link = tier.service.open()
    ask(link, *(start(id=n, revision=tier.store.durable_revision) for n in range(1, 5)))
    live = link.take_live()
    assert live is not None
    ended = live.ended
    assert [e.watch for e in ended] == [4]
    assert b'"code":429' in ended[0].status
    link.close()


async def test_nothing_to_say_is_not_said(tier: WatchTier) -> None:
    link = tier.service.open()
    first = link.take_live()
    assert first is not None
    assert first.closed_revision == tier.store.durable_revision
    assert link.take_live() is None
    assert not link.link.live_wake.is_set()
    link.close()


async def test_a_resumed_watch_from_an_unreached_revision_is_put_off_not_ended(tier: WatchTier) -> None:
    link = tier.service.open()
    newest = tier.store.durable_revision
    ask(link, start(id=1, revision=newest + 10**6, resumed=True), start(id=2, revision=newest + 10**6))
    ended: dict[int, bytes] = {}
    while len(ended) < 2:
        ended |= {e.watch: e.status for b in await link.next_catch_up() for e in b.ended}
    assert ended[1] == b""
    assert b"Too large resource version" in ended[2]
    link.close()


async def test_a_cluster_that_moves_while_a_watch_catches_up(tier: WatchTier) -> None:
    await tier.committed("root", *(put(f"n{n:04d}") for n in range(600)))
    link = tier.service.open()
    ask(link, start(id=1, initial=True))
    batches: list[pb.WatchBatch] = []
    link._begin(link._to_start.popleft(), _Messages())  # the first slice of several
    tier.ownership.moved["root"] = 2
    while not any(b.ended for b in batches):
        batches += link.take_catch_up()
    (ended,) = (e for b in batches for e in b.ended)
    assert (ended.moved, ended.moved_to, ended.revision) == (True, 2, 0)
    assert "joined 1" not in said(batches)
    link.close()


async def test_closing_wakes_both_sides(tier: WatchTier) -> None:
    link = tier.service.open()
    ended: list[bool] = []
    link.on_close(lambda: ended.append(True))
    link.take_live()
    async with asyncio.TaskGroup() as tasks:
        live, catch_up = tasks.create_task(closed(link.next_live())), tasks.create_task(closed(link.next_catch_up()))
        await asyncio.sleep(0)
        link.close()
    assert (live.result(), catch_up.result(), ended) == (True, True, [True])
    assert tier.service.hub.statistics()["links"] == 0


async def closed(waiting: object) -> bool:
    try:
        await waiting  # type: ignore[misc]
    except LinkClosed:
        return True
    return False


async def watched(it: converting.Converting, tasks: asyncio.TaskGroup) -> tuple[Reader, asyncio.Task[None]]:
    """A watch of the new version that has told its first state, and what runs it."""
    hello = pb.Hello(protocol=PROTOCOL, process="shard-1", shard=1)
    service = WatchService(it.client.shard, lambda: hello, None, tasks.create_task)
    client = WatchClient(LocalWatchTransport(service), "front-1")
    running = tasks.create_task(client.run())
    reader = Reader()
    start = pb.StartWatch(
        cluster="root", group="example.com", version="v2", resource="endings", initial=True,
        identity=it.client.identity.encode(),
    )  # fmt: skip
    client.watch(start, reader)
    async with asyncio.timeout(60):
        while not any(entry.startswith("initial") for entry in reader.log):
            await asyncio.sleep(0.01)
    return reader, running


async def test_a_watch_shows_what_a_webhook_converts() -> None:
    """First state, then live: each object once, in order, in the version of the watch; a webhook that fails ends it."""
    is_broken = False

    def answering(review: dict[str, Any]) -> Any:
        return (500, {}, b"broken") if is_broken else converting.answer(review)

    async with converting.converting(answering) as it, asyncio.TaskGroup() as tasks:
        await it.client.create(converting.ENDPOINTS_V1, converting.ending("v1", "a"))
        reader, running = await watched(it, tasks)
        for name in "bcd":
            await it.client.create(converting.ENDPOINTS_V1, converting.ending("v1", name))
        await it.client.create(converting.ENDPOINTS_V2, converting.ending("v2", "e"))
        await reader.saw("ADDED b", "ADDED c", "ADDED d", "ADDED e")
        shown = [orjson.loads(event.object) for event in reader.events]
        assert [obj["metadata"]["name"] for obj in shown] == ["a", "b", "c", "d", "e"]
        assert {obj["spec"]["port"] for obj in shown} == {"8080"}
        is_broken = True
        await it.client.create(converting.ENDPOINTS_V1, converting.ending("v1", "f", labels={"new": "one"}))
        await reader.saw("ended 500")
        assert "conversion webhook for example.com/v1, Kind=Ending failed" in reader.status["message"]
        running.cancel()


async def test_a_webhook_is_asked_for_many_objects_at_once() -> None:
    sizes: list[int] = []

    def answering(review: dict[str, Any]) -> Any:
        sizes.append(len(review["request"]["objects"]))
        return converting.answer(review)

    async with converting.converting(answering) as it, asyncio.TaskGroup() as tasks:
        for number in range(20):
            await it.client.create(converting.ENDPOINTS_V1, converting.ending("v1", f"n{number:02}"))
        sizes.clear()
        _, running = await watched(it, tasks)
        assert sum(sizes) == 20 and len(sizes) < 5
        running.cancel()


async def test_watches_of_a_logical_cluster_are_counted_and_let_in(tier: WatchTier) -> None:
    asked: list[tuple[str, bytes]] = []

    def let_in(request: pb.StartWatch, identity: bytes) -> None:
        asked.append((request.cluster, identity))
        if tier.service.hub.number(request.cluster) >= 2:
            raise TooManyRequests("too many watches", retry_after_s=1)

    tier.service.limit(let_in)
    link, other = tier.service.open(), tier.service.open()
    ask(link, start(id=1), start(id=2), start(id=3))
    answers: list[str] = []
    while len(answers) < 3:
        answers += [each for each in said(await link.next_catch_up()) if not each.startswith("joined")]
    assert answers == ["started 1", "started 2", "ended 3"]
    ask(other, start(id=4, resumed=True, revision=tier.store.durable_revision))
    assert "started 4" in said(await other.next_catch_up()), "it was let in before the break"
    assert (tier.service.hub.number("root"), [path for path, _ in asked]) == (3, ["root"] * 3)
    other.close()
    tier.service.hub.stop(link.link, 1)
    assert tier.service.hub.number("root") == 1
    link.close()
    assert tier.service.hub.number("root") == 0


async def test_a_watch_selects_by_what_a_webhook_makes() -> None:
    """Fields of the version watched, live and read from the log, where the log has kept headers only."""
    async with converting.converting(selectable=True) as it, asyncio.TaskGroup() as tasks:
        for name in "ab":
            await it.client.create(converting.ENDPOINTS_V1, converting.ending("v1", name))
        begins = it.client.shard.store.durable_revision
        service = WatchService(
            it.client.shard, lambda: pb.Hello(protocol=PROTOCOL, process="s", shard=1), None, tasks.create_task
        )
        client = WatchClient(LocalWatchTransport(service), "front-1")
        running = tasks.create_task(client.run())
        live, late = Reader(), Reader()
        start = pb.StartWatch(
            cluster="root", group="example.com", version="v2", resource="endings", initial=True,
            field_selector="spec.port=8080", identity=it.client.identity.encode(),
        )  # fmt: skip
        client.watch(start, live)
        async with asyncio.timeout(60):
            while not any(entry.startswith("initial") for entry in live.log):
                await asyncio.sleep(0.01)
        assert live.log[1:3] == ["ADDED a", "ADDED b"]
        for port in ("1", "8080", "8080"):
            await it.client.patch(f"{converting.ENDPOINTS_V2}/a", {"spec": {"port": port, "host": f"h{port}"}})
        await it.client.patch(f"{converting.ENDPOINTS_V1}/a", {"metadata": {"annotations": {"x": "y"}}})
        await it.client.do("DELETE", f"{converting.ENDPOINTS_V1}/a")
        said = ("DELETED a", "ADDED a", "MODIFIED a", "DELETED a")
        await live.saw(*said)
        start.initial, start.revision = False, begins
        client.watch(start, late)
        await late.saw(*said)
        running.cancel()
