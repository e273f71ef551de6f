from itertools import product

import pytest

from kcpshard.api.slots import SLOTS, slot_of
from kcpshard.placement.ownership import FIRST_EPOCH, Ownership
from kcpshard.placement.ownership_records import RECORD_KEY, TABLE_KEY, DamagedOwnership
from kcpshard.placement.ownership_states import (
    CLUSTER_TRANSITIONS,
    SLOT_TRANSITIONS,
    ClusterState,
    Command,
    OwnershipConflict,
    SlotState,
)
from kcpshard.verbs.outcome import NotOwned
from tests.kcpshard.placement.fake_store import FakeStore

PATH = "root:a"
SLOT = slot_of(PATH)


def owned(number: int = 1, slots: range | list[int] = range(SLOTS), **pins: int) -> tuple[FakeStore, Ownership]:
    store = FakeStore()
    ownership = Ownership(store, number)
    ownership.begin()
    ownership.claim(slots, pins)
    store.sync()
    return store, ownership


def moved_to(ownership: Ownership, path: str = PATH) -> int:
    """-1: served here."""
    try:
        ownership.check(path)
    except NotOwned as answer:
        return answer.moved_to
    return -1


def test_a_new_directory_owns_nothing_and_gets_an_identity_that_stays() -> None:
    store = FakeStore()
    ownership = Ownership(store, 1)
    assert moved_to(ownership) == 0
    ownership.begin()
    store.sync()
    again = Ownership(store.crash(), 1)
    assert len(again.data_id) == 16
    assert again.data_id == ownership.data_id


def test_a_claim_is_served_once_durable() -> None:
    store = FakeStore()
    ownership = Ownership(store, 1)
    ownership.begin()
    ownership.claim([SLOT], {})
    assert moved_to(ownership) == 0
    store.sync()
    assert moved_to(ownership) == -1
    assert ownership.epoch == FIRST_EPOCH


def test_the_initial_slots_are_claimed_once() -> None:
    _, ownership = owned()
    with pytest.raises(OwnershipConflict):
        ownership.claim([], {})


def test_pins_hold_against_the_slot() -> None:
    store = FakeStore()
    ownership = Ownership(store, 2)
    ownership.begin()
    ownership.claim(range(SLOTS), {PATH: 1, "root:b": 2})
    store.sync()
    assert moved_to(ownership) == 1
    assert moved_to(ownership, "root:b") == -1
    assert ownership.cluster_state("root:b") is ClusterState.ADOPTED


def test_a_seal_takes_effect_before_it_is_durable_and_names_the_new_owner() -> None:
    store, ownership = owned()
    ownership.seal(5, [SLOT], 2, (), 77)
    assert moved_to(ownership) == 2
    assert moved_to(Ownership(store.crash(), 1)) == -1, "not durable: after a crash it is as if never asked"


def test_a_sealed_slot_stays_sealed_after_a_restart() -> None:
    store, ownership = owned()
    ownership.seal(5, [SLOT], 2, (3, 4), 77)
    store.sync()
    again = Ownership(store.crash(), 1)
    assert moved_to(again) == 2
    assert again.sealed_before(5) == ("seal", (3, 4), 77)
    assert again.slot_state(SLOT) is SlotState.SEALED


def test_a_grant_is_served_once_durable_and_its_repeat_changes_nothing() -> None:
    store, ownership = owned(2, [])
    assert ownership.grant(5, [SLOT]) is not None
    assert moved_to(ownership) == 0
    store.sync()
    assert moved_to(ownership) == -1
    assert ownership.grant(5, [SLOT, SLOT + 1]) is None
    assert ownership.slot_state(SLOT + 1) is SlotState.FREE


def test_a_message_from_the_past_is_refused() -> None:
    store, ownership = owned(2, [])
    ownership.grant(5, [SLOT])
    ownership.seal(7, [SLOT], 3, (), 1)
    store.sync()
    with pytest.raises(OwnershipConflict):
        ownership.grant(5, [SLOT])
    with pytest.raises(OwnershipConflict):
        ownership.grant(7, [SLOT])
    assert moved_to(ownership) == 3


def test_nothing_is_granted_before_the_initial_claim() -> None:
    ownership = Ownership(FakeStore(), 2)
    with pytest.raises(OwnershipConflict):
        ownership.grant(5, [SLOT])


def test_a_seal_that_the_disk_refuses_is_not_believed_and_not_served_before_its_repeat() -> None:
    store, ownership = owned()
    ownership.seal(5, [SLOT], 2, (), 1)
    store.refuse()
    assert ownership.epoch == FIRST_EPOCH
    assert ownership.sealed_before(5) is None, "a repeat must be carried out, not answered"
    assert moved_to(ownership) == 0
    ownership.close_slots([SLOT])
    ownership.seal(5, [], 2, [SLOT], 1)
    ownership.reopen_slots()
    assert moved_to(ownership) == -1


def test_a_grant_that_the_disk_refuses_can_be_repeated() -> None:
    store, ownership = owned(2, [])
    ownership.grant(5, [SLOT])
    store.refuse()
    assert moved_to(ownership) == 0
    assert ownership.grant(5, [SLOT]) is not None
    store.sync()
    assert moved_to(ownership) == -1


@pytest.mark.parametrize("target", [0, 1])
def test_slots_are_not_given_to_nobody_or_ourselves(target: int) -> None:
    _, ownership = owned(1)
    with pytest.raises(OwnershipConflict):
        ownership.seal(5, [SLOT], target, (), 1)
    with pytest.raises(OwnershipConflict):
        ownership.seal_cluster(5, PATH, target, 1)


@pytest.mark.parametrize("slot", [-1, SLOTS])
def test_slots_that_do_not_exist_are_refused(slot: int) -> None:
    _, ownership = owned(2, [])
    with pytest.raises(OwnershipConflict):
        ownership.grant(5, [slot])


def test_closed_slots_are_served_again_unless_sealed() -> None:
    store, ownership = owned()
    ownership.close_slots([SLOT, slot_of("root:b")])
    assert moved_to(ownership) == 0
    ownership.seal(5, [slot_of("root:b")], 2, [SLOT], 1)
    ownership.reopen_slots()
    store.sync()
    assert moved_to(ownership) == -1
    assert moved_to(ownership, "root:b") == 2


def test_a_cluster_moves_alone_and_back() -> None:
    here_store, here = owned(1)
    there_store, there = owned(2, [])
    here.seal_cluster(5, PATH, 2, 99)
    assert moved_to(here) == 2
    record = here.cluster_record(PATH)
    assert record is not None
    assert record.revision == 99
    there.adopt(5, PATH)
    assert moved_to(there) == 0, "not durable yet"
    there_store.sync()
    here_store.sync()
    assert moved_to(there) == -1
    assert moved_to(Ownership(there_store.crash(), 2)) == -1
    there.seal_cluster(6, PATH, 1, 100)
    here.adopt(6, PATH)
    here_store.sync()
    assert (moved_to(here), moved_to(there)) == (-1, 1)


def test_repeats_of_cluster_commands_change_nothing_and_late_ones_are_refused() -> None:
    store, there = owned(2, [])
    assert there.adopt(5, PATH) is not None
    assert there.adopt(5, PATH) is None
    assert there.seal_cluster(8, PATH, 1, 100) is not None
    assert there.seal_cluster(8, PATH, 1, 100) is None
    store.sync()
    with pytest.raises(OwnershipConflict):
        there.adopt(5, PATH)
    assert moved_to(there) == 1


def test_records_of_clusters_that_went_ahead_of_their_slot_are_dropped_but_not_forgotten() -> None:
    store, ownership = owned()
    ownership.seal_cluster(5, PATH, 2, 99)
    ownership.seal(6, [SLOT], 2, (), 100)
    store.sync()
    assert ownership.cluster_record(PATH) is None
    assert moved_to(ownership) == 2
    assert ownership.statistics().clusters_sealed == 0
    with pytest.raises(OwnershipConflict):
        ownership.adopt(5, PATH)


def test_a_granted_slot_comes_without_the_clusters_that_live_elsewhere() -> None:
    _, source = owned(1, range(SLOTS), **{PATH: 1})
    source.seal(5, [SLOT], 2, (), 1)
    assert source.elsewhere([SLOT], 2) == {PATH: 1}
    assert moved_to(source) == -1, "adopted, whatever becomes of its slot"
    there_store, there = owned(2, [])
    there.grant(5, [SLOT], source.elsewhere([SLOT], 2))
    there_store.sync()
    assert moved_to(there) == 1
    assert moved_to(Ownership(there_store.crash(), 2)) == 1


@pytest.mark.parametrize(("state", "command"), list(product(SlotState, [Command.GRANT, Command.SEAL])))
def test_every_slot_state_and_command_is_legal_or_refused(state: SlotState, command: Command) -> None:
    _, ownership = owned(1, [] if state is SlotState.FREE else [SLOT])
    if state is SlotState.SEALED:
        ownership.seal(5, [SLOT], 2, (), 1)

    def act() -> None:
        if command is Command.GRANT:
            ownership.grant(9, [SLOT])
        else:
            ownership.seal(9, [SLOT], 3, (), 1)

    wanted = SLOT_TRANSITIONS.get((state, command))
    if wanted is None:
        with pytest.raises(OwnershipConflict):
            act()
        assert ownership.slot_state(SLOT) is state
    else:
        act()
        assert ownership.slot_state(SLOT) is wanted


@pytest.mark.parametrize(("state", "command"), list(product(ClusterState, [Command.ADOPT, Command.SEAL])))
def test_every_cluster_state_and_command_is_legal_or_refused(state: ClusterState, command: Command) -> None:
    _, ownership = owned(1, [] if state is ClusterState.ELSEWHERE else [SLOT])
    if state is ClusterState.SEALED:
        ownership.seal_cluster(5, PATH, 2, 1)
    elif state is ClusterState.ADOPTED:
        ownership.seal_cluster(5, PATH, 2, 1)
        ownership.adopt(6, PATH)
    assert ownership.cluster_state(PATH) is state

    def act() -> None:
        if command is Command.ADOPT:
            ownership.adopt(9, PATH)
        else:
            ownership.seal_cluster(9, PATH, 3, 1)

    wanted = CLUSTER_TRANSITIONS.get((state, command))
    if wanted is None:
        with pytest.raises(OwnershipConflict):
            act()
        assert ownership.cluster_state(PATH) is state
    else:
        act()
        assert ownership.cluster_state(PATH) is wanted


@pytest.mark.parametrize(
    ("key", "value"), [(RECORD_KEY, b"{"), (RECORD_KEY, b"{}"), (TABLE_KEY, b"short")], ids=["json", "fields", "table"]
)
def test_damaged_records_are_named(key: bytes, value: bytes) -> None:
    store, _ = owned()
    store.accepted[key] = value
    with pytest.raises(DamagedOwnership):
        Ownership(store, 1)
