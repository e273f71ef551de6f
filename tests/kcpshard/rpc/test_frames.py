"""The outbox: what goes into a message, in which order, and how bodies come out whole."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.frames import (
    BATCH_BYTES,
    BATCH_ENTRIES,
    FRAME_BYTES,
    LIST_FRAME_BYTES,
    WINDOW_FRAMES,
    Assembly,
    BodyTooLarge,
    FramedBody,
    Outbox,
    entry,
    entry_before,
    split,
)


def before(id_: int) -> Callable[[int, bool, bool], bytes]:
    def encode(size: int, first: bool, more: bool) -> bytes:
        return entry_before(
            b"\x12", pb.Response(id=id_, code=200 * first, more=more).SerializeToString(), b"\x1a", size
        )

    return encode


def outbox() -> Outbox:
    return Outbox(lambda: None)


def sent(box: Outbox) -> list[pb.ResponseBatch]:
    messages = []
    while message := box.take():
        messages.append(pb.ResponseBatch.FromString(message))
    return messages


@given(st.integers(0, 70_000))
def test_an_entry_is_a_protobuf_field(size: int) -> None:
    response = pb.Response(id=1, body=b"x" * size)
    batch = pb.ResponseBatch.FromString(entry(b"\x12", response.SerializeToString()) * 2)
    assert list(batch.responses) == [response, response]


def test_an_entry_of_over_two_megabytes() -> None:
    response = pb.Response(id=1, body=b"x" * 2_500_000)
    assert pb.ResponseBatch.FromString(entry(b"\x12", response.SerializeToString())).responses[0] == response


@given(st.integers(0, 5 * FRAME_BYTES))
def test_pieces_join_to_the_body_and_are_small(size: int) -> None:
    body = (b"0123456789" * (size // 10 + 1))[:size]
    pieces = split(body)
    assert b"".join(pieces) == body
    assert max(map(len, pieces)) <= FRAME_BYTES
    assert len(pieces) == max(1, -(-size // FRAME_BYTES))


def test_what_was_put_together_leaves_together() -> None:
    box = outbox()
    for n in range(3):
        box.put(entry(b"\x12", pb.Response(id=n).SerializeToString()))
    (message,) = sent(box)
    assert [r.id for r in message.responses] == [0, 1, 2]
    assert box.bytes == 0


def test_a_message_has_at_most_so_many_entries_and_bytes() -> None:
    box = outbox()
    for _ in range(BATCH_ENTRIES + 1):
        box.put(b"\x12\x00")
    assert [len(m.responses) for m in sent(box)] == [BATCH_ENTRIES, 1]
    for n in range(6):
        box.put(entry(b"\x12", pb.Response(id=n, body=b"x" * 60_000).SerializeToString()))
    sizes = [m.ByteSize() for m in sent(box)]
    assert len(sizes) == 2
    assert max(sizes) <= BATCH_BYTES + FRAME_BYTES


def test_frames_take_turns_with_each_other_and_with_small_answers() -> None:
    box = outbox()
    for id_ in (1, 2):
        FramedBody(box, before(id_), windowed=False).add(b"x" * (8 * FRAME_BYTES), last=True)
    box.take()
    box.put(entry(b"\x12", pb.Response(id=3).SerializeToString()))
    following = pb.ResponseBatch.FromString(box.take())
    assert following.responses[0].id == 3
    assert {r.id for r in following.responses} == {1, 2, 3}


def test_small_answers_do_not_starve_frames() -> None:
    box = outbox()
    FramedBody(box, before(1), windowed=False).add(b"x" * (10 * FRAME_BYTES), last=True)
    for _ in range(3):
        for n in range(300):
            box.put(entry(b"\x12", pb.Response(id=100 + n, body=b"y" * 2000).SerializeToString()))
        assert 1 in {r.id for r in pb.ResponseBatch.FromString(box.take()).responses}


@given(st.lists(st.integers(0, 3 * FRAME_BYTES), min_size=1, max_size=5))
def test_a_body_in_pieces_has_one_head_and_one_end(sizes: list[int]) -> None:
    box = outbox()
    body = FramedBody(box, before(7), windowed=False)
    for n, size in enumerate(sizes):
        body.add(bytes([n]) * size, last=n == len(sizes) - 1)
    frames = [r for message in sent(box) for r in message.responses]
    assert b"".join(r.body for r in frames) == b"".join(bytes([n]) * size for n, size in enumerate(sizes))
    assert [r.code for r in frames] == [200] + [0] * (len(frames) - 1)
    assert [r.more for r in frames] == [True] * (len(frames) - 1) + [False]
    assert box.bytes == 0


def test_a_windowed_body_waits_for_credit() -> None:
    box = outbox()
    body = FramedBody(box, before(1), windowed=True)
    body.add(b"x" * (WINDOW_FRAMES + 5) * LIST_FRAME_BYTES, last=True)
    assert sum(len(m.responses) for m in sent(box)) == WINDOW_FRAMES
    body.grant(3)
    assert sum(len(m.responses) for m in sent(box)) == 3
    body.grant(100)
    frames = [r for m in sent(box) for r in m.responses]
    assert (len(frames), frames[-1].more) == (2, False)


def test_a_dropped_body_sends_no_more() -> None:
    box = outbox()
    body = FramedBody(box, before(1), windowed=False)
    body.add(b"x" * (10 * FRAME_BYTES), last=True)
    box.take()
    body.drop()
    assert box.take() == b""
    assert box.bytes == 0


def test_the_owner_is_woken_and_told_when_drained() -> None:
    woken, drained = [], []
    box = Outbox(lambda: woken.append(1))
    body = FramedBody(box, before(1), windowed=False)
    body.on_drained = lambda: drained.append(1)
    body.add(b"x", last=False)
    assert woken
    assert not body.is_drained
    box.take()
    assert body.is_drained
    assert drained


def test_a_cleared_outbox_is_empty() -> None:
    box = outbox()
    box.put(b"\x12\x00")
    FramedBody(box, before(1), windowed=False).add(b"x" * 100_000, last=True)
    box.clear()
    assert (box.take(), box.bytes) == (b"", 0)


def test_an_assembly_is_bounded() -> None:
    assembly = Assembly(10)
    assembly.add(b"12345")
    assembly.add(b"67890")
    assert assembly.joined() == b"1234567890"
    with pytest.raises(BodyTooLarge):
        assembly.add(b"1")


def test_what_waits_for_a_readers_credits_does_not_keep_credits_from_being_read() -> None:
    """64 long lists once filled a stream's bound with what none of them might send; their credits were never read."""
    box = Outbox(lambda: None)
    bodies = [FramedBody(box, lambda size, first, more: b"", windowed=True) for _ in range(64)]
    for body in bodies:
        body.add(bytes(1 << 20), last=False)
    assert box.bytes == 0
    plain = FramedBody(box, lambda size, first, more: b"", windowed=False)
    plain.add(bytes(1 << 20), last=True)
    assert box.bytes == 1 << 20
    while box.take():
        pass
    assert box.bytes == 0
