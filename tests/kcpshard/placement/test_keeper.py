"""Single steps; whole histories with deaths are in tests/model/test_placement.py."""

import asyncio

import pytest

from kcpshard.api.slots import SLOTS
from kcpshard.placement.keeper import MOVE_KEY, Keeper
from kcpshard.placement.map_copy import MapCopy
from kcpshard.placement.ownership_states import OwnershipConflict
from kcpshard.placement.registration import RegistrationRefused
from kcpshard.placement.shard_map import granted_slots, initial_map
from kcpshard.placement.slot_moves import MoveStage
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.placement_client import Refused, Unreachable
from tests.kcpshard.placement.fake_store import FakeStore, NoClusters
from tests.virtual_time import run


class FakeCommands:
    """Every shard of the installation: notes what it is asked, refuses what it is told to."""

    def __init__(self) -> None:
        self.asked: list[pb.SealSlotsRequest | pb.GrantSlotsRequest] = []
        self.faults: list[Exception] = []
        self.grant_faults: list[Exception] = []
        self.refused: set[int] = set()

    async def seal(self, request: pb.SealSlotsRequest) -> pb.OwnershipResponse:
        self._note(request)
        refused = sorted(self.refused.intersection(request.slots))
        return pb.OwnershipResponse(refused=refused, revision=77, elsewhere=[pb.Pin(cluster="root:a", shard=1)])

    async def grant(self, request: pb.GrantSlotsRequest) -> pb.OwnershipResponse:
        self._note(request)
        if self.grant_faults:
            raise self.grant_faults.pop(0)
        return pb.OwnershipResponse()

    def _note(self, request: pb.SealSlotsRequest | pb.GrantSlotsRequest) -> None:
        self.asked.append(request)
        if self.faults:
            raise self.faults.pop(0)


class Setup:
    def __init__(self) -> None:
        self.store = FakeStore()
        self.store.synchronous = True
        self.maps = MapCopy(self.store)
        if not self.maps.current.epoch:
            self.maps.put(initial_map(1))
        self.commands = FakeCommands()
        self.keeper = Keeper(self.store, self.maps, lambda entry: self.commands, lambda number: NoClusters())

    async def register(self, number: int, epoch: int = 1) -> pb.ShardMap:
        entry = pb.ShardEntry(number=number, data_id=b"%d" % number)
        return await self.keeper.register(pb.RegisterShardRequest(shard=entry, ownership_epoch=epoch))

    async def both(self) -> None:
        await self.register(1)
        await self.register(2, 0)
        await self.register(2)

    async def work(self, seconds: float = 60) -> None:
        task = asyncio.get_running_loop().create_task(self.keeper.run())
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled():
            task.result()


def test_a_new_shard_gets_its_share_in_two_steps_and_one_map() -> None:
    async def scenario() -> None:
        setup = Setup()
        await setup.both()
        before = setup.maps.current.epoch
        await setup.work()
        seal, grant = setup.commands.asked
        assert isinstance(seal, pb.SealSlotsRequest)
        assert isinstance(grant, pb.GrantSlotsRequest)
        assert seal.epoch == grant.epoch == before + 1
        assert len(seal.slots) == SLOTS // 2
        assert (grant.revision, [pin.cluster for pin in grant.elsewhere]) == (77, ["root:a"])
        assert setup.maps.current.epoch == before + 2
        assert len(granted_slots(setup.maps.current, 2)) == SLOTS // 2
        assert [entry.ownership_epoch for entry in setup.maps.current.shards] == [before + 1] * 2
        assert setup.store.get_meta(MOVE_KEY) is None

    run(scenario())


def test_refused_slots_stay_and_others_are_tried() -> None:
    async def scenario() -> None:
        setup = Setup()
        setup.commands.refused = set(range(100))
        await setup.both()
        await setup.work()
        assert len(granted_slots(setup.maps.current, 2)) == SLOTS // 2
        assert not setup.commands.refused.intersection(granted_slots(setup.maps.current, 2))

    run(scenario())


def test_when_nothing_can_move_it_rests_until_somebody_registers() -> None:
    async def scenario() -> None:
        setup = Setup()
        setup.commands.refused = set(range(SLOTS))
        await setup.both()
        await setup.work()
        asked = len(setup.commands.asked)
        assert asked < 20
        await setup.work()
        assert len(setup.commands.asked) == asked
        setup.commands.refused = set()
        await setup.register(1, setup.maps.current.shards[0].ownership_epoch)
        await setup.work()
        assert len(granted_slots(setup.maps.current, 2)) == SLOTS // 2

    run(scenario())


def test_a_shard_that_is_away_is_asked_the_same_again() -> None:
    async def scenario() -> None:
        setup = Setup()
        setup.commands.faults = [Unreachable("away")] * 5
        await setup.both()
        await setup.work()
        seals = [r for r in setup.commands.asked if isinstance(r, pb.SealSlotsRequest)]
        assert len(seals) == 6
        assert all(seal == seals[0] for seal in seals)

    run(scenario())


@pytest.mark.parametrize("fault", [Refused("no"), OwnershipConflict("no")])
def test_a_contradicted_seal_is_given_up(fault: Exception) -> None:
    async def scenario() -> None:
        setup = Setup()
        setup.commands.faults = [fault]
        await setup.both()
        await setup.work()
        assert setup.keeper.move is None
        assert len(granted_slots(setup.maps.current, 2)) == SLOTS // 2, "with other slots"

    run(scenario())


def test_a_contradicted_grant_is_never_given_up() -> None:
    async def scenario() -> None:
        setup = Setup()
        setup.commands.grant_faults = [Refused("no")] * 3
        await setup.both()
        task = asyncio.get_running_loop().create_task(setup.keeper.run())
        await asyncio.sleep(1)
        assert setup.keeper.move is not None
        assert setup.keeper.move.stage is MoveStage.GRANT
        await asyncio.sleep(60)
        assert setup.keeper.move is None
        task.cancel()
        await asyncio.wait((task,))

    run(scenario())


def test_a_keeper_that_died_goes_on_where_the_record_says() -> None:
    async def scenario() -> None:
        setup = Setup()
        setup.commands.faults = [Unreachable("away")] * 1000
        await setup.both()
        await setup.work(1)
        move = setup.keeper.move
        assert move is not None
        again = Keeper(
            setup.store.crash(), MapCopy(setup.store.crash()), lambda entry: setup.commands, lambda number: NoClusters()
        )
        assert again.move == move

    run(scenario())


def test_numbers_are_reserved_once() -> None:
    async def scenario() -> None:
        setup = Setup()
        assert await setup.keeper.reserve() == (2, "shard-2")
        assert await setup.keeper.reserve("big") == (3, "big")
        assert await setup.keeper.reserve("big") == (3, "big")
        await setup.register(3, 0)
        with pytest.raises(RegistrationRefused):
            await setup.keeper.reserve("big")

    run(scenario())
