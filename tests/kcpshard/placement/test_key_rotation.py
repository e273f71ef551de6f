from collections.abc import Sequence

import pytest

from kcpshard.placement import key_rotation
from kcpshard.placement.key_rotation import KeyRotation
from kcpshard.placement.map_copy import MapCopy
from kcpshard.placement.shard_map import initial_map, with_keys
from kcpshard.placement.signing_keys import FRONT_DELAY_US, Key
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.placement_client import Unreachable
from tests.kcpshard.placement.fake_store import FakeStore


class Objects:
    def __init__(self) -> None:
        self.keys: list[Key] = []

    def read(self) -> list[Key]:
        return list(self.keys)

    def write(self, keys: Sequence[Key]) -> None:
        self.keys = list(keys)


class Setup:
    """Two shards, of which the second is asked for its epoch."""

    def __init__(self) -> None:
        store = FakeStore()
        store.synchronous = True
        self.maps, self.objects = MapCopy(store), Objects()
        first = initial_map(2)
        for entry in first.shards:
            entry.data_id = b"x"
        self.maps.put(first)
        self.now_us, self.behind, self.reachable = 1, False, True
        self.rotation = KeyRotation(self.objects, self.maps, self.publish, self.epoch, lambda: self.now_us)

    async def publish(self, keys: Sequence[pb.SigningKey]) -> None:
        self.maps.put(with_keys(self.maps.accepted, keys))

    async def epoch(self, entry: pb.ShardEntry) -> int:
        if not self.reachable:
            raise Unreachable
        return self.maps.current.epoch - self.behind

    def signing(self) -> list[str]:
        return [key.id for key in self.maps.current.keys if key.purpose == "tokens" and key.signs]

    def known(self) -> list[str]:
        return [key.id for key in self.maps.current.keys if key.purpose == "tokens"]


async def test_a_new_installation_gets_a_key_of_each_kind_that_signs() -> None:
    setup = Setup()
    await setup.rotation.step()
    wanted = {("tokens", True), ("certificates", True), ("front-proxy", True)}
    assert {(key.purpose, key.signs) for key in setup.maps.current.keys} == wanted
    epoch = setup.maps.current.epoch
    await setup.rotation.step()
    assert setup.maps.current.epoch == epoch, "nothing changed"


async def test_a_new_key_signs_once_every_shard_and_front_can_know_it() -> None:
    setup = Setup()
    await setup.rotation.step()
    (old,) = setup.signing()
    setup.behind = True
    new = await setup.rotation.rotate("tokens")
    await setup.rotation.step()
    assert set(setup.known()) == {old, new} and setup.signing() == [old]
    setup.now_us += FRONT_DELAY_US
    await setup.rotation.step()
    assert setup.signing() == [old], "a shard is behind"
    setup.behind = False
    await setup.rotation.step()
    assert setup.signing() == [old], "fronts get a moment"
    setup.now_us += FRONT_DELAY_US
    await setup.rotation.step()
    assert setup.signing() == [new] and set(setup.known()) == {old, new}


async def test_a_shard_that_is_away_is_waited_for_but_not_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    setup = Setup()
    await setup.rotation.step()
    new = await setup.rotation.rotate("tokens")
    setup.reachable = False
    for _ in range(3):
        setup.now_us += FRONT_DELAY_US
        await setup.rotation.step()
    assert setup.signing() != [new]
    setup.now_us += key_rotation.PATIENCE_US
    await setup.rotation.step()
    setup.now_us += FRONT_DELAY_US
    await setup.rotation.step()
    assert setup.signing() == [new]
    assert "may not know it" in caplog.text


async def test_a_deleted_key_is_gone_from_the_map_and_replaced() -> None:
    setup = Setup()
    await setup.rotation.step()
    (old,) = setup.signing()
    setup.objects.keys = [key for key in setup.objects.keys if key.id != old]
    await setup.rotation.step()
    assert old not in setup.known() and len(setup.signing()) == 1
