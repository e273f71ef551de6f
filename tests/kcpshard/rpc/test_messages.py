"""Answers and requests survive the wire unchanged; Hello is checked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpshard.api.requests import Answer, ListInfo
from kcpshard.rpc import messages
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Result

COUNTS = st.integers(0, 2**31)
infos = st.builds(ListInfo, st.integers(0, 2**63), st.text(), st.integers(-1, 2**31), st.text(), st.text(), COUNTS)
answers = st.builds(
    Answer,
    st.integers(200, 599).filter(lambda code: code != 421),
    st.binary(max_size=300),
    st.none() | infos,
    st.lists(st.text()).map(tuple),
    st.binary(),
    st.just(-1),
    st.text(),
    st.text(),
    st.integers(0, 100),
    st.binary(),
    st.binary(),
)


def received(*entries: bytes) -> list[pb.Response]:
    return list(pb.ResponseBatch.FromString(b"".join(entries)).responses)


def result_of(response: pb.Response) -> Result:
    return messages.result_of(response, response.body, messages.list_info(response))


def expected(answer: Answer) -> Result:
    """`head` is of answers in pieces alone."""
    return Result(**{name: value for name, value in answer._asdict().items() if name != "head"})


@given(answers)
def test_an_answer_comes_back_as_the_same_result(answer: Answer) -> None:
    (response,) = received(messages.answer_entry(5, answer))
    assert response.id == 5
    assert result_of(response) == expected(answer)


@given(st.sampled_from([0, 1, 7]))
def test_a_421_names_the_shard(shard: int) -> None:
    (response,) = received(messages.answer_entry(1, Answer(421, b"{}", moved_to=shard)))
    assert result_of(response).moved_to == shard


@given(answers, st.integers(2, 4))
def test_the_first_frame_has_the_head_and_the_last_what_goes_around_the_list(answer: Answer, count: int) -> None:
    frames = received(
        *(messages.before_answer_frame(1, answer, 3, n == 0, n < count - 1) + b"abc" for n in range(count))
    )
    head, *middle, last = frames
    assert messages.result_of(head, answer.body, answer.info) == expected(answer)
    assert [f.body for f in frames] == [b"abc"] * count
    assert [f.more for f in frames] == [True] * (count - 1) + [False]
    assert messages.list_info(last) == answer.info
    assert not any(f.code or f.HasField("list") for f in middle)
    assert last.code == 0


def test_entries_of_a_request_batch_concatenate() -> None:
    request = pb.Request(id=1, verb=pb.GET, name="a")
    large = pb.Request(id=2, verb=pb.CREATE, name="b", body=b"abcdef")
    batch = pb.RequestBatch.FromString(
        messages.request_entry(request)
        + messages.cancel_entry(9)
        + messages.before_request_frame(large, 3, True, True)
        + b"abc"
        + messages.before_request_frame(large, 3, False, False)
        + b"def"
        + messages.credit_entry(4, 8)
        + messages.cancel_entry(10)
    )
    assert batch.requests[0] == request
    assert (batch.requests[1].name, batch.requests[1].body, batch.requests[1].more) == ("b", b"abc", True)
    assert large.body == b"abcdef"
    assert list(batch.cancels) == [9, 10]
    assert list(batch.frames) == [pb.RequestFrame(id=2, body=b"def")]
    assert list(batch.credits) == [pb.FrameCredit(id=4, frames=8)]


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_neighbours_work_together(protocol: int) -> None:
    hello = pb.Hello(protocol=protocol)
    assert messages.check_hello(hello) is hello


@pytest.mark.parametrize("protocol", [3, 100])
def test_others_are_told_why_not(protocol: int) -> None:
    with pytest.raises(messages.ProtocolMismatch, match=f"front-1 .* speaks protocol {protocol}.* upgrade in steps"):
        messages.check_hello(pb.Hello(protocol=protocol, process="front-1", software="9.9"))


def test_a_stream_without_hello_is_refused() -> None:
    with pytest.raises(messages.ProtocolMismatch):
        messages.check_hello(None)


def test_lists_documents_and_large_bodies_are_bulky() -> None:
    assert [messages.is_bulky(pb.Request(verb=verb)) for verb in (pb.GET, pb.CREATE, pb.LIST, pb.DOCUMENT)] == [
        False, False, True, True,
    ]  # fmt: skip
    assert messages.is_bulky(pb.Request(verb=pb.CREATE, body=b"x" * 70_000))


@given(answers, st.sampled_from([0, 10, 20_000, 70_000]), st.integers(1, 3))
def test_large_answers_are_read_beside_their_body(answer: Answer, size: int, count: int) -> None:
    """Whatever is in a message, reading it apart gives what reading it whole gives."""
    body = b"x" * size
    entries = [messages.answer_entry(1, answer._replace(body=body)), messages.answer_entry(2, Answer(200, body))]
    entries += [messages.before_answer_frame(n, answer, size, n == 3, n < 4) + body for n in range(3, 3 + count)]
    message = b"".join(entries)
    whole = [(r.id, r.body) for r in pb.ResponseBatch.FromString(message).responses]
    apart = list(messages.read_large(message))
    assert [(r.id, found) for r, found in apart] == whole
    assert [r.more for r, _ in apart] == [r.more for r in pb.ResponseBatch.FromString(message).responses]


def test_hello_and_unknown_fields_are_no_obstacle() -> None:
    message = pb.ResponseBatch(hello=pb.Hello(protocol=1), responses=[pb.Response(id=3, body=b"a")])
    assert [(r.id, body) for r, body in messages.read_large(message.SerializeToString())] == [(3, b"a")]
