import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpshard.api.events import EventType
from kcpshard.storage import commit_log
from kcpshard.storage.commit_log import Record

NUMBERS = st.integers(0, 2**63 - 1)
RECORDS = st.builds(
    Record, st.sampled_from(EventType), st.integers(0, 7), st.integers(0, 599), NUMBERS, NUMBERS,
    st.binary(max_size=16), st.binary(max_size=30), st.binary(max_size=60), st.binary(max_size=60),
)  # fmt: skip


def encoded(record: Record) -> bytes:
    return commit_log.encode(
        record.type, record.retention, record.code, record.previous_revision, record.wall_us, record.request_id,
        record.key, record.value, record.previous,
    )  # fmt: skip


@given(RECORDS)
def test_records_round_trip(record: Record) -> None:
    assert commit_log.decode(encoded(record)) == record
    assert commit_log.retention_of(encoded(record)) == record.retention


def test_a_cut_record_is_refused() -> None:
    raw = encoded(Record(EventType.ADDED, 0, 201, 0, 0, b"", b"a\0b\0c", b"value", b""))
    with pytest.raises(ValueError, match="shorter than its header says"):
        commit_log.decode(raw[:-2])


def test_a_creation_has_no_previous_state() -> None:
    record = Record(EventType.ADDED, 0, 201, 0, 0, b"", b"pods\0ns\0name", b"value", b"")
    found = commit_log.change(9, record)
    assert (found.group_resource, found.namespace, found.name, found.previous) == ("pods", "ns", "name", None)
