"""An engine that seals chosen resources on their way to the disk and opens them on their way back.

Everything above it (log, watch, compaction, verification) sees plain values; everything below it (files, checkpoints,
backups made of them) sealed ones. What is not sealed costs a look at one byte.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from kcpshard.storage import keyspace, sealing
from kcpshard.storage.contract import KeyValueBatch, KeyValueEngine
from kcpshard.storage.damage import Corrupted
from kcpshard.storage.sealing import Cipher

_OBJECTS, _LOG = keyspace.OBJECTS, keyspace.LOG


class DataKeys(Protocol):
    """Which data key seals a type's values now, and the cipher of any."""

    def writer_of(self, group_resource: bytes) -> tuple[int, Cipher] | None:
        """None: it is stored as it is. Asked for every write: a dictionary lookup."""

    def cipher_of(self, number: int) -> Cipher:
        """Raises storage.damage.Corrupted if there is no such data key."""


class _SealedBatch:
    __slots__ = ("_keys", "inner")

    def __init__(self, inner: KeyValueBatch, keys: DataKeys) -> None:
        self.inner, self._keys = inner, keys

    @property
    def size(self) -> int:
        return self.inner.size

    def put(self, family: str, key: bytes, value: bytes) -> None:
        if family == _OBJECTS:
            writer = self._keys.writer_of(sealing.object_resource(key))
            if writer is not None:
                value = sealing.seal_object(key, value, *writer)
        elif family == _LOG:
            writer = self._keys.writer_of(sealing.record_resource(value))
            if writer is not None:
                value = sealing.seal_record(key, value, *writer)
        self.inner.put(family, key, value)

    def delete(self, family: str, key: bytes) -> None:
        self.inner.delete(family, key)

    def delete_range(self, family: str, start: bytes, end: bytes) -> None:
        self.inner.delete_range(family, start, end)


class SealedEngine:
    """Over any engine; `inner` is for whoever needs values as they are on disk."""

    def __init__(self, inner: KeyValueEngine, keys: DataKeys) -> None:
        self.inner, self._keys = inner, keys
        self.sync_waits = inner.sync_waits

    def get(self, family: str, key: bytes) -> bytes | None:
        value = self.inner.get(family, key)
        return value if value is None else self._opened(family, key, value)

    def getter(self, family: str) -> Callable[[bytes], bytes | None]:
        get = self.inner.getter(family)
        if family not in (_OBJECTS, _LOG):
            return get
        opened = self._opened

        def get_opened(key: bytes) -> bytes | None:
            value = get(key)
            return value if value is None else opened(family, key, value)

        return get_opened

    def scan(
        self, family: str, start: bytes, end: bytes, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        pairs = self.inner.scan(family, start, end, limit, reverse)
        if family == _OBJECTS:
            is_sealed = sealing.is_sealed_object
        elif family == _LOG:
            is_sealed = sealing.is_sealed_record
        else:
            return pairs
        opened = self._opened
        return [(key, opened(family, key, value)) if is_sealed(value) else (key, value) for key, value in pairs]

    def count(self, family: str, start: bytes, end: bytes, limit: int) -> int:
        return self.inner.count(family, start, end, limit)

    def batch(self) -> _SealedBatch:
        return _SealedBatch(self.inner.batch(), self._keys)

    def write(self, batch: Any) -> None:
        self.inner.write(batch.inner)

    def sync(self) -> None:
        self.inner.sync()

    def free_bytes(self) -> int | None:
        return self.inner.free_bytes()

    def checkpoint(self, directory: str) -> None:
        self.inner.checkpoint(directory)

    def flush(self) -> None:
        self.inner.flush()

    def statistics(self) -> Mapping[str, int]:
        return self.inner.statistics()

    def close(self) -> None:
        self.inner.close()

    def _opened(self, family: str, key: bytes, value: bytes) -> bytes:
        try:
            if family == _OBJECTS:
                if sealing.is_sealed_object(value):
                    return sealing.open_object(key, value, self._keys.cipher_of)
            elif family == _LOG and sealing.is_sealed_record(value):
                return sealing.open_record(key, value, self._keys.cipher_of)
        except Exception as error:
            if isinstance(error, Corrupted):
                raise
            # cryptography's InvalidTag has no text, and the storage layer does not import it.
            raise Corrupted(f"Corruption: a sealed value of {family} does not open: {type(error).__name__}") from None
        return value
