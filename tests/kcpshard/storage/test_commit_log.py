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
        record.type, record.retention, record.code, record.previous_revision, record.wall_us, record.origin,
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


@pytest.mark.parametrize(
    ("request_id", "author", "told"),
    [
        pytest.param(b"", "", "", id="neither"),
        pytest.param(b"r" * 16, "", "", id="only a request"),
        pytest.param(b"", "alice", "alice", id="only an author"),
        pytest.param(b"r" * 16, "alice", "alice", id="both"),
        pytest.param(b"r" * 16, "ä" * 200, "ä" * 119, id="a long name is cut between characters"),
    ],
)
def test_the_origin_of_a_change(request_id: bytes, author: str, told: str) -> None:
    origin = commit_log.origin(request_id, author)
    record = commit_log.decode(commit_log.encode(1, 0, 200, 0, 0, origin, b"k", b"v", b""))
    assert commit_log.author(record) == told and len(origin) <= 255
    assert not request_id or record.origin.startswith(request_id)
