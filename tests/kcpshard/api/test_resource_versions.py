import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpshard.api.errors import ApiError, BadRequest, Invalid
from kcpshard.api.resource_versions import (
    ContinueToken,
    ListRevision,
    decode_continue,
    encode_continue,
    expired_continue,
    expired_list,
    format_revision,
    list_revision,
    next_revision,
    parse_resource_version,
    revision_at,
    revision_microseconds,
    validate_revision_field,
)

REVISIONS = st.integers(0, 2**63 - 1)


@given(st.integers(0, 2**53), st.integers(1, 999), st.integers(0, 2**53))
def test_the_next_revision_is_above_the_last_and_this_shards(now_us: int, shard: int, last_us: int) -> None:
    last = revision_at(last_us, 7)
    found = next_revision(last, now_us, shard)
    assert found > last and found % 1000 == shard
    assert revision_microseconds(found) == now_us or found // 1000 == last_us + 1


@given(REVISIONS)
def test_text_and_number(revision: int) -> None:
    assert parse_resource_version(format_revision(revision)) == revision
    assert len(format_revision(revision)) == 19


@pytest.mark.parametrize("text", ["x", "-1", "1.0", "9" * 21, "٣"])
def test_what_is_no_revision(text: str) -> None:
    with pytest.raises(Invalid):
        parse_resource_version(text)


TOKENS = st.builds(ContinueToken, REVISIONS, REVISIONS, st.text(max_size=5), st.text(max_size=5), st.integers(-1, 99))


@given(TOKENS)
def test_continue_tokens(token: ContinueToken) -> None:
    assert decode_continue(encode_continue(token)) == token


@given(st.text(max_size=12))
def test_foreign_continue_tokens(text: str) -> None:
    with pytest.raises(BadRequest):
        decode_continue(text)


@pytest.mark.parametrize(
    ("version", "match", "limit", "expected"),
    [
        ("", "", 0, ListRevision()),
        ("0", "", 5, ListRevision()),
        ("0", "NotOlderThan", 5, ListRevision()),
        ("7", "", 0, ListRevision(minimum=7)),
        ("7", "", 5, ListRevision(exact=7)),
        ("7", "NotOlderThan", 5, ListRevision(minimum=7)),
        ("7", "Exact", 0, ListRevision(exact=7)),
    ],
)
def test_the_matrix(version: str, match: str, limit: int, expected: ListRevision) -> None:
    assert list_revision(version, match, limit, "") == expected


@pytest.mark.parametrize(
    ("version", "match", "token", "code"),
    [
        ("", "Exact", "", 422),
        ("0", "Exact", "", 422),
        ("5", "x", "", 422),
        ("5", "Exact", "t", 422),
        ("5", "", "t", 400),
        ("x", "", "", 400),
    ],
)
def test_illegal_combinations(version: str, match: str, token: str, code: int) -> None:
    with pytest.raises(ApiError) as caught:
        list_revision(version, match, 0, token)
    assert caught.value.code == code


def test_an_expired_page_brings_a_token_to_go_on_with() -> None:
    assert expired_continue("t").status()["metadata"] == {"continue": "t"}
    assert expired_list().status()["metadata"] == {}


@pytest.mark.parametrize(("value", "faults"), [(None, 0), ("", 0), ("5", 0), ("x", 1), (5, 1)])
def test_the_field_of_an_object(value: object, faults: int) -> None:
    assert len(validate_revision_field(value)) == faults
