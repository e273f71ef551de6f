"""The engine contract on RocksDB; the only module that imports rocksdict.

rocksdict holds the GIL in everything but flush, flush_wal, compact_range and reads of many keys, so all of this runs on
the loop except `sync`. A write goes to the log file's page cache; `sync` is one fdatasync of the log files. RocksDB
resumes by itself, within about five seconds, after a disk that was full has a write buffer's size of space again; until
then writes fail.

There are no snapshots here: iterators of rocksdict 0.3.29 ignore theirs. A scan is one iterator, hence one consistent
view; whoever needs a longer one reads at a revision, or from a checkpoint.
"""

import errno
import logging
import os
from collections.abc import Callable, Mapping
from itertools import islice, takewhile
from typing import Any

import rocksdict

from kcpshard.settings import Settings
from kcpshard.storage import keyspace
from kcpshard.storage.damage import Corrupted
from kcpshard.storage.format import UnusableFormat

_log = logging.getLogger(__name__)

_ERRORS = (
    ("No space left on device", errno.ENOSPC),
    ("Read-only file system", errno.EROFS),
    ("Too many open files", errno.EMFILE),
    ("Disk quota exceeded", errno.EDQUOT),
)


class RocksdbBatch:
    __slots__ = ("_handles", "raw")

    def __init__(self, handles: Mapping[str, Any]) -> None:
        self._handles = handles
        self.raw = rocksdict.WriteBatch(raw_mode=True)

    @property
    def size(self) -> int:
        size: int = self.raw.size_in_bytes()
        return size

    def put(self, family: str, key: bytes, value: bytes) -> None:
        self.raw.put(key, value, self._handles[family])

    def delete(self, family: str, key: bytes) -> None:
        self.raw.delete(key, self._handles[family])

    def delete_range(self, family: str, start: bytes, end: bytes) -> None:
        self.raw.delete_range(start, end, self._handles[family])


class RocksdbEngine:
    sync_waits = True

    def __init__(self, directory: str, settings: Settings | None = None, read_only: bool = False) -> None:
        """Opens or makes the directory. Raises format.UnusableFormat if RocksDB cannot open it."""
        settings = settings or Settings()
        cache = rocksdict.Cache(settings.block_cache_bytes)
        access = rocksdict.AccessType.read_only(False) if read_only else rocksdict.AccessType.read_write()
        families = {name: _family_options(settings, cache) for name in keyspace.FAMILIES}
        self.log_damage = ""  # what RocksDB says of a log that is damaged before its end; what follows it is lost
        try:
            try:
                self._db = rocksdict.Rdict(directory, _options(settings, _TORN), families, access)
            except Exception as error:
                if "Corruption" not in str(error):
                    raise
                self._db = rocksdict.Rdict(directory, _options(settings, _DAMAGED), families, access)
                self.log_damage = str(error)
        except Exception as error:
            raise UnusableFormat(_opening_failed(directory, str(error))) from error
        self._directory = directory
        self._families = {name: self._db.get_column_family(name) for name in keyspace.FAMILIES}
        self._handles = {name: self._db.get_column_family_handle(name) for name in keyspace.FAMILIES}

    def getter(self, family: str) -> Callable[[bytes], bytes | None]:
        get: Callable[[bytes], bytes | None] = self._families[family].get
        return get

    def get(self, family: str, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._families[family].get(key)
        except Exception as error:  # noqa: BLE001 - rocksdict has nothing more special
            raise Corrupted(str(error)) from None
        return value

    def scan(
        self, family: str, start: bytes, end: bytes, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        return _scan(self._families[family], start, end, limit, reverse)

    def batch(self) -> RocksdbBatch:
        return RocksdbBatch(self._handles)

    def write(self, batch: RocksdbBatch) -> None:
        try:
            self._db.write(batch.raw)
        except Exception as error:
            raise _os_error(str(error)) from error

    def count(self, family: str, start: bytes, end: bytes, limit: int) -> int:
        options = rocksdict.ReadOptions()
        options.set_iterate_upper_bound(end)
        keys = self._families[family].keys(from_key=start, read_opt=options)
        found: list[Any] = list(islice(keys, limit))
        if len(found) < limit:
            _check_end(self._families[family], found[-1] if found else start, end)
        return len(found)

    def sync(self) -> None:
        self._db.flush_wal(True)

    def free_bytes(self) -> int | None:
        found = os.statvfs(self._directory)
        return 0 if found.f_flag & os.ST_RDONLY else found.f_bavail * found.f_frsize

    def checkpoint(self, directory: str) -> None:
        """Hard links of the files and a copy of the log, as one consistent directory that must not exist yet."""
        rocksdict.Checkpoint(self._db).create_checkpoint(directory)

    def flush(self) -> None:
        for family in self._families.values():
            family.flush()

    def statistics(self) -> Mapping[str, int]:
        found = {"block_cache_bytes": "rocksdb.block-cache-usage", "memtable_bytes": "rocksdb.cur-size-all-mem-tables"}
        values = {name: self._db.property_int_value(key) or 0 for name, key in found.items()}
        values["log_damaged"] = int(bool(self.log_damage))
        for name, family in self._families.items():
            values[f"{name}_keys"] = family.property_int_value("rocksdb.estimate-num-keys") or 0
            values[f"{name}_bytes"] = family.property_int_value("rocksdb.live-sst-files-size") or 0
        return values

    def close(self) -> None:
        """What a full or broken disk does not let us flush is in the log already, or was never acknowledged."""
        # Each family and each handle keeps the database open, and with it the directory's lock.
        self._handles.clear()
        for part in (*self._families.values(), self._db):
            try:
                part.close()
            except Exception as error:  # noqa: BLE001 - rocksdict has nothing more special
                _log.warning("closed without a last flush: %s", error)


def _scan(source: Any, start: bytes, end: bytes, limit: int, reverse: bool) -> list[tuple[bytes, bytes]]:
    options = rocksdict.ReadOptions()
    options.set_iterate_upper_bound(end)
    if not reverse:
        pairs = list(islice(source.items(from_key=start, read_opt=options), limit))
        if len(pairs) < limit:
            _check_end(source, pairs[-1][0] if pairs else start, end)
        return pairs
    # Not set_iterate_lower_bound: in rocksdict 0.3.29 it sets the upper bound.
    backwards = takewhile(lambda pair: pair[0] >= start, source.items(backwards=True, from_key=end, read_opt=options))
    pairs = list(islice(backwards, limit))
    if len(pairs) < limit:
        _check_beginning(source, pairs[-1][0] if pairs else end)
    return pairs


def _check_end(source: Any, last: bytes, end: bytes) -> None:
    """Raise Corrupted if what follows `last` cannot be read. rocksdict's iterators just end at a damaged block, as if
    there were nothing behind it. 3 µs, and only for scans that did not fill their page."""
    options = rocksdict.ReadOptions()
    options.set_iterate_upper_bound(end)
    iterator = source.iter(options)
    iterator.seek(last)
    if iterator.valid():
        iterator.next()
    _check_status(iterator)


def _check_beginning(source: Any, first: bytes) -> None:
    """As `_check_end`, for what lies before `first`."""
    iterator = source.iter(rocksdict.ReadOptions())
    iterator.seek_for_prev(first)
    if iterator.valid() and iterator.key() == first:
        iterator.prev()
    _check_status(iterator)


def _check_status(iterator: Any) -> None:
    try:
        iterator.status()
    except Exception as error:  # noqa: BLE001 - as in get
        raise Corrupted(str(error)) from None


# Losing the unsynced tail is what group commit allows: a log that ends in the middle of a record is whole. One that is
# damaged further in may be so because a power cut wrote its last pages out of order, or because the disk has lost what
# was acknowledged; nobody can tell, so the shard goes on from before the damage, and says so.
_TORN = rocksdict.DBRecoveryMode.tolerate_corrupted_tail_records
_DAMAGED = rocksdict.DBRecoveryMode.point_in_time


def _options(settings: Settings, recovery: Callable[[], Any]) -> Any:
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_db_write_buffer_size(settings.write_buffer_bytes)
    # The largest of any family, even of the unused default one, must be free before RocksDB resumes after a full disk.
    options.set_write_buffer_size(settings.write_buffer_bytes)
    options.set_max_total_wal_size(settings.wal_bytes)
    options.set_max_open_files(settings.open_files)
    options.set_max_background_jobs(2)
    options.set_keep_log_file_num(3)
    options.set_max_log_file_size(4 << 20)
    options.set_wal_recovery_mode(recovery())
    return options


def _family_options(settings: Settings, cache: Any) -> Any:
    options = rocksdict.Options(raw_mode=True)
    options.set_write_buffer_size(settings.write_buffer_bytes)
    options.set_compression_type(rocksdict.DBCompressionType.lz4())
    table = rocksdict.BlockBasedOptions()
    table.set_block_cache(cache)
    table.set_bloom_filter(10, False)
    table.set_block_size(16 << 10)
    table.set_cache_index_and_filter_blocks(True)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    options.set_block_based_table_factory(table)
    return options


def _os_error(text: str) -> OSError:
    for part, number in _ERRORS:
        if part in text:
            return OSError(number, os.strerror(number))
    return OSError(errno.EIO, text)


def _opening_failed(directory: str, text: str) -> str:
    if "LOCK" in text or "lock hold" in text:
        return f"the data directory {directory} is in use by another process"
    return f"the data directory {directory} cannot be opened: {text.splitlines()[0] if text else 'unknown error'}"
