"""The engine contract in memory: sorted dictionaries. For tests and embedding; nothing survives the process.

Closing keeps the data, so that a store can be opened again on the same engine, as a restart would.
"""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from sortedcontainers import SortedDict

from kcpshard.storage import keyspace

Table = Any  # a SortedDict from bytes to bytes; the package has no types


class MemoryBatch:
    """Operations in the order they were given."""

    __slots__ = ("operations", "size")

    def __init__(self) -> None:
        self.operations: list[tuple[str, bytes, bytes | None, bytes | None]] = []
        self.size = 0

    def put(self, family: str, key: bytes, value: bytes) -> None:
        self.operations.append((family, key, value, None))
        self.size += len(key) + len(value)

    def delete(self, family: str, key: bytes) -> None:
        self.operations.append((family, key, None, None))
        self.size += len(key)

    def delete_range(self, family: str, start: bytes, end: bytes) -> None:
        self.operations.append((family, start, None, end))
        self.size += len(start)


def _scan(table: Table, start: bytes, end: bytes, limit: int, reverse: bool) -> list[tuple[bytes, bytes]]:
    keys = table.irange(start, end, inclusive=(True, False), reverse=reverse)
    return [(key, table[key]) for key in islice(keys, limit)]


class MemoryEngine:
    sync_waits = False

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {name: SortedDict() for name in keyspace.FAMILIES}

    def getter(self, family: str) -> Callable[[bytes], bytes | None]:
        get: Callable[[bytes], bytes | None] = self._tables[family].get
        return get

    def get(self, family: str, key: bytes) -> bytes | None:
        value: bytes | None = self._tables[family].get(key)
        return value

    def scan(
        self, family: str, start: bytes, end: bytes, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        return _scan(self._tables[family], start, end, limit, reverse)

    def count(self, family: str, start: bytes, end: bytes, limit: int) -> int:
        table = self._tables[family]
        found: int = table.bisect_left(end) - table.bisect_left(start)
        return min(limit, max(0, found))

    def batch(self) -> MemoryBatch:
        return MemoryBatch()

    def write(self, batch: MemoryBatch) -> None:
        for family, key, value, end in batch.operations:
            table = self._tables[family]
            if value is not None:
                table[key] = value
            elif end is None:
                table.pop(key, None)
            else:
                for found in list(table.irange(key, end, inclusive=(True, False))):
                    del table[found]

    def sync(self) -> None:
        """Nothing outlives the process anyway."""

    def free_bytes(self) -> int | None:
        return None

    def checkpoint(self, directory: str) -> None:
        raise OSError(f"the memory engine has no files to copy to {directory}")

    def flush(self) -> None:
        """No files."""

    def statistics(self) -> Mapping[str, int]:
        return {f"{name}_keys": len(table) for name, table in self._tables.items()}

    def close(self) -> None:
        """Keeps the data; see the module."""
