import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpshard.api.slots import SLOTS, slot_of
from kcpshard.placement.ownership_records import DamagedOwnership, DataId, OwnershipRecords, read_records
from kcpshard.placement.ownership_states import ClusterRecord, ClusterState, LastCommand
from tests.kcpshard.placement.fake_store import FakeStore

PATHS = st.from_regex(r"[a-z0-9]{1,9}(:[a-z0-9]{1,9}){0,3}", fullmatch=True)
CLUSTERS = st.builds(
    ClusterRecord,
    st.sampled_from([ClusterState.ADOPTED, ClusterState.SEALED]),
    st.integers(0, 2**40),
    st.integers(0, 999),
    st.integers(0, 2**63 - 1),
)


@given(st.dictionaries(PATHS, CLUSTERS), st.dictionaries(st.integers(0, SLOTS - 1), st.integers(1, 999)))
def test_what_is_written_is_read(clusters: dict[str, ClusterRecord], owners: dict[int, int]) -> None:
    records = OwnershipRecords(3, DataId(b"x" * 16), 7, LastCommand("seal", (1, 2), 9), 5, clusters=clusters)
    for slot, owner in owners.items():
        records.table[slot] = owner
    store = FakeStore()
    store.put_meta(records.items({slot_of(path) for path in clusters}))
    assert read_records(store, 3) == records


def test_a_cluster_record_that_is_gone_is_removed_from_the_disk() -> None:
    store = FakeStore()
    records = OwnershipRecords(1, DataId(b"x"), clusters={"root": ClusterRecord(ClusterState.ADOPTED, 1)})
    store.put_meta(records.items({slot_of("root")}))
    keys = len(store.accepted)
    records.clusters.clear()
    store.put_meta(records.items({slot_of("root")}))
    assert len(store.accepted) == keys - 1
    assert read_records(store, 1).clusters == {}


def test_a_copy_can_be_changed_alone() -> None:
    records = OwnershipRecords(1)
    other = records.copy()
    other.table[0] = 5
    other.clusters["root"] = ClusterRecord(ClusterState.ADOPTED, 1)
    assert (records.table[0], records.clusters) == (0, {})


def test_a_new_directory_has_no_records() -> None:
    assert read_records(FakeStore(), 4) == OwnershipRecords(4)


@pytest.mark.parametrize("missing", range(2))
def test_damage_is_named(missing: int) -> None:
    store = FakeStore()
    records = OwnershipRecords(1, DataId(b"x"), clusters={"root": ClusterRecord(ClusterState.ADOPTED, 1)})
    store.put_meta(records.items({slot_of("root")}))
    key = [b"ownership/slots", b"ownership/exceptions"][missing]
    store.accepted[key] = b"x"
    with pytest.raises(DamagedOwnership, match="damaged"):
        read_records(store, 1)
