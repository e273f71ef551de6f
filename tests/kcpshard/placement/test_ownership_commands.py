import asyncio

import pytest

from kcpshard.api.slots import SLOTS, slot_of
from kcpshard.placement.ownership import Ownership
from kcpshard.placement.ownership_commands import OwnershipCommands
from kcpshard.placement.ownership_states import OwnershipConflict
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage.contract import ReadOnly
from kcpshard.verbs.outcome import NotOwned
from tests.kcpshard.placement.fake_store import FakeStore
from tests.virtual_time import run

A, B = "root:a", "root:b"


def shard(number: int = 1, **pins: int) -> tuple[FakeStore, Ownership, OwnershipCommands]:
    """Each write is durable after a tenth of a second."""
    store = FakeStore()
    ownership = Ownership(store, number)
    ownership.begin()
    ownership.claim(range(SLOTS) if number == 1 else [], pins)
    store.sync()
    store.wrote = lambda: asyncio.get_running_loop().call_later(0.1, store.sync, store.writes) and None
    return store, ownership, OwnershipCommands(store, ownership)


def serves(ownership: Ownership, path: str) -> bool:
    try:
        ownership.check(path)
    except NotOwned:
        return False
    return True


def seal(epoch: int = 5, slots: tuple[int, ...] = (slot_of(A), slot_of(B))) -> pb.SealSlotsRequest:
    return pb.SealSlotsRequest(epoch=epoch, slots=slots, moved_to=2)


def test_slots_with_a_logical_cluster_stay_and_the_answer_is_durable() -> None:
    async def scenario() -> None:
        store, ownership, commands = shard()
        store.create(A)
        answer = await commands.seal(seal())
        assert list(answer.refused) == [slot_of(A)]
        assert answer.revision >= store.born[A]
        assert (serves(ownership, A), serves(ownership, B)) == (True, False)
        assert not serves(Ownership(store.crash(), 1), B)

    run(scenario())


def test_nothing_is_born_in_a_slot_while_it_is_sealed() -> None:
    async def scenario() -> None:
        _, ownership, commands = shard()
        task = asyncio.get_running_loop().create_task(commands.seal(seal()))
        await asyncio.sleep(0.05)
        assert not serves(ownership, A)
        await task

    run(scenario())


def test_a_repeat_gets_the_first_answer_even_if_it_could_do_more_now() -> None:
    async def scenario() -> None:
        store, ownership, commands = shard()
        store.create(A)
        first = await commands.seal(seal())
        store.born.clear()
        assert await commands.seal(seal()) == first
        assert serves(ownership, A)

    run(scenario())


def test_pinned_clusters_do_not_hold_their_slot_but_are_told_of() -> None:
    async def scenario() -> None:
        store, ownership, commands = shard(**{A: 1})
        store.create(A)
        answer = await commands.seal(seal())
        assert not answer.refused
        assert [(pin.cluster, pin.shard) for pin in answer.elsewhere] == [(A, 1)]
        assert serves(ownership, A)
        _, other, at_other = shard(2)
        request = pb.GrantSlotsRequest(
            epoch=5, slots=seal().slots, elsewhere=answer.elsewhere, revision=answer.revision
        )
        await at_other.grant(request)
        assert (serves(other, A), serves(other, B)) == (False, True)

    run(scenario())


def test_a_grant_raises_the_clock_first() -> None:
    async def scenario() -> None:
        store, _, commands = shard(2)
        await commands.grant(pb.GrantSlotsRequest(epoch=5, slots=[1], revision=10**6))
        assert store.clock > 10**6

    run(scenario())


def test_after_a_refusal_everything_is_served_again() -> None:
    async def scenario() -> None:
        _, ownership, commands = shard()
        with pytest.raises(OwnershipConflict):
            await commands.seal(pb.SealSlotsRequest(epoch=5, slots=[slot_of(A)], moved_to=1))
        assert serves(ownership, A)

    run(scenario())


def test_a_full_disk_leaves_the_slots_where_they_are() -> None:
    async def scenario() -> None:
        store, ownership, commands = shard()
        task = asyncio.get_running_loop().create_task(commands.seal(seal()))
        await asyncio.sleep(0.05)
        store.refuse()
        with pytest.raises(ReadOnly):
            await task
        assert serves(ownership, A)
        await commands.seal(seal())
        assert not serves(ownership, A)

    run(scenario())
