"""Which bytes make up a stream's next message: small entries together, long bodies in frames that take turns.

Pure: whoever owns the stream asks `Outbox.take` for a message and is told through `wake` that there is one. The
protobuf encoding of a message is the concatenation of its entries, so entries are encoded where they are made and only
joined here. Bounds: a message carries at most BATCH_ENTRIES entries and, beyond its last entry, at most BATCH_BYTES.
"""

from collections import deque
from collections.abc import Callable

BATCH_BYTES = 256 * 1024
BATCH_ENTRIES = 256
FRAME_BYTES = 64 * 1024
# Of a list: it shares its stream with other bulk alone, and each frame is an object, an event and a wake-up.
LIST_FRAME_BYTES = 256 * 1024
WINDOW_FRAMES = 8  # how far a windowed body runs ahead of its reader: 2 MB


def varint(size: int) -> bytes:
    if size < 128:
        return size.to_bytes(1, "big")
    if size < 16384:
        return bytes((size & 127 | 128, size >> 7))
    encoded = bytearray()
    while size >= 128:
        encoded.append(size & 127 | 128)
        size >>= 7
    encoded.append(size)
    return bytes(encoded)


def entry(tag: bytes, payload: bytes) -> bytes:
    """One length-delimited protobuf field."""
    return tag + varint(len(payload)) + payload


def entry_before(tag: bytes, head: bytes, body_tag: bytes, size: int) -> bytes:
    """All of an entry but the body at its end: `head` has the message's other fields, `size` bytes of body follow."""
    head += body_tag + varint(size)
    return tag + varint(len(head) + size) + head


def read_varint(message: bytes, at: int) -> tuple[int, int]:
    """The number there, and where it ends. Raises IndexError for a message cut short."""
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def body_at(message: bytes, at: int, end: int, body_tag: int) -> int:
    """Where in the entry `at`–`end` its body begins (its tag), if the body is the last of its fields, else -1."""
    while at < end:
        start = at
        tag, at = read_varint(message, at)
        size, at = read_varint(message, at)
        if tag & 7 == 2:
            at += size
            if tag == body_tag and at == end:
                return start
        elif tag & 7:
            return -1
    return -1


def split(body: bytes, frame_bytes: int = FRAME_BYTES) -> list[memoryview]:
    """Pieces of about equal size, none above `frame_bytes`; one empty piece for an empty body. Nothing is copied."""
    size, view = len(body), memoryview(body)
    if size <= frame_bytes:
        return [view]
    count = -(-size // frame_bytes)
    step = -(-size // count)
    return [view[start : start + step] for start in range(0, size, step)]


class FramedBody:
    """One long body on its way out. `encode(size, first, more)` makes what comes before each piece in its entry; the
    piece itself is copied once, into the message.

    Windowed, it stops WINDOW_FRAMES ahead of its reader's credits. `on_drained` is called each time that everything
    added so far has gone into messages.
    """

    __slots__ = (
        "_counted", "_finished", "_frame_bytes", "_outbox", "_pieces", "_queued", "_started", "_window", "encode",
        "on_drained",
    )  # fmt: skip

    def __init__(self, outbox: "Outbox", encode: Callable[[int, bool, bool], bytes], windowed: bool) -> None:
        self._outbox, self.encode = outbox, encode
        self._window, self._frame_bytes = (WINDOW_FRAMES, LIST_FRAME_BYTES) if windowed else (-1, FRAME_BYTES)
        # What waits for a reader's credits must not keep those credits from being read: it is not counted. Its writer
        # adds the next part when this one has gone.
        self._counted = not windowed
        self._pieces: deque[memoryview] = deque()
        self._started = self._finished = self._queued = False
        self.on_drained: Callable[[], None] | None = None

    @property
    def is_drained(self) -> bool:
        return not self._pieces

    @property
    def is_ready(self) -> bool:
        return bool(self._pieces) and self._window != 0

    def add(self, body: bytes, last: bool) -> None:
        self._finished = last
        self._pieces.extend(split(body, self._frame_bytes))
        if self._counted:
            self._outbox.bytes += len(body)
        self._enter()

    def grant(self, frames: int) -> None:
        if self._window >= 0:
            self._window += frames
            self._enter()

    def drop(self) -> None:
        """Send no more of it."""
        if self._counted:
            self._outbox.bytes -= sum(map(len, self._pieces))
        self._pieces.clear()
        self._finished = True

    def take_entry(self, parts: list[bytes | memoryview]) -> int:
        """Append the next frame; returns its size."""
        piece = self._pieces.popleft()
        if self._counted:
            self._outbox.bytes -= len(piece)
        before = self.encode(len(piece), not self._started, bool(self._pieces) or not self._finished)
        parts += (before, piece)
        self._started = True
        if self._window > 0:
            self._window -= 1
        if not self._pieces and self.on_drained:
            self.on_drained()
        return len(before) + len(piece)

    def _enter(self) -> None:
        if not self._queued and self.is_ready:
            self._outbox.enter(self)
            self._queued = True

    def left_queue(self) -> None:
        self._queued = False


class Outbox:
    """What waits to be sent on one stream. `bytes` is all of it but what a window holds back; the stream's owner bounds
    that by reading less."""

    __slots__ = ("_bodies", "_entries", "_wake", "bytes")

    def __init__(self, wake: Callable[[], None]) -> None:
        self._entries: deque[bytes] = deque()
        self._bodies: deque[FramedBody] = deque()  # those with a frame to send, the next one first
        self._wake = wake
        self.bytes = 0

    def put(self, encoded: bytes) -> None:
        self._entries.append(encoded)
        self.bytes += len(encoded)
        self._wake()

    def enter(self, body: FramedBody) -> None:
        self._bodies.append(body)
        self._wake()

    def clear(self) -> None:
        self._entries.clear()
        for body in self._bodies:
            body.drop()
            body.left_queue()
        self._bodies.clear()
        self.bytes = 0

    def take(self) -> bytes:
        """The next message; empty if there is nothing to send."""
        if not self._bodies:
            return self._take_entries(BATCH_BYTES, BATCH_ENTRIES)
        # A quarter of the message is kept for frames while there are any, so that neither kind starves the other.
        small = self._take_entries(BATCH_BYTES - FRAME_BYTES, BATCH_ENTRIES - BATCH_BYTES // FRAME_BYTES)
        parts: list[bytes | memoryview] = [small]
        size = len(small)
        while self._bodies and size < BATCH_BYTES:
            size += self._take_frame(parts)
        return b"".join(parts)

    def _take_entries(self, budget: int, limit: int) -> bytes:
        parts: list[bytes] = []
        size, entries = 0, self._entries
        while entries and size < budget and len(parts) < limit:
            encoded = entries.popleft()
            size += len(encoded)
            parts.append(encoded)
        self.bytes -= size
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _take_frame(self, parts: list[bytes | memoryview]) -> int:
        body = self._bodies.popleft()
        size = body.take_entry(parts) if body.is_ready else 0
        if body.is_ready:
            self._bodies.append(body)
        else:
            body.left_queue()
        return size


class BodyTooLarge(Exception):
    """The frames of one body exceed what the receiver takes."""


class Assembly:
    """Frames of one body coming in, at most `limit` bytes."""

    __slots__ = ("_limit", "_pieces", "size")

    def __init__(self, limit: int) -> None:
        self._pieces: list[bytes] = []
        self._limit = limit
        self.size = 0

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size > self._limit:
            self._pieces.clear()
            raise BodyTooLarge
        self._pieces.append(piece)

    def joined(self) -> bytes:
        return b"".join(self._pieces)
