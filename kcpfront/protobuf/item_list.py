"""The items of a list, from the pieces of a shard's answer to protobuf, a slice at a time. Pure."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson

from kcpfront.protobuf.objects import NoProtobuf, encode_item, encode_list


class ItemList:
    """Pieces in, encoded items out. A piece usually holds whole objects; a cut one waits for its rest.

    add(b'{…},{…}') → add(b',{…}') → … → finished()
    """

    def __init__(self, message: str) -> None:
        """`message` is that of an item; "" has no form."""
        self._message = message
        self._cut = b""
        self._encoded: list[bytes] = []

    def add(self, piece: bytes, slice_objects: int) -> Iterator[None]:
        """Encode a piece; gives way after every slice. Raises NoProtobuf."""
        text, self._cut = self._cut + piece, b""
        try:
            items = iter(orjson.loads(b"[" + text.strip(b",") + b"]"))
        except orjson.JSONDecodeError:
            self._cut = text
            return
        while taken := list(islice(items, slice_objects)):
            self._encoded += [encode_item(self._message, item) for item in taken]
            yield

    def finished(self, api_version: str, kind: str, metadata: dict[str, Any]) -> bytes:
        """The whole list."""
        if self._cut:
            raise NoProtobuf("the last item is not whole")
        return encode_list(api_version, kind, metadata, b"".join(self._encoded))
