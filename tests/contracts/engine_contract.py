"""What every key-value engine must do; a backend adds the fixture `engine`."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kcpshard.storage.contract import KeyValueEngine


class EngineContract:
    def fill(self, engine: KeyValueEngine, *keys: bytes) -> None:
        batch = engine.batch()
        for key in keys:
            batch.put("log", key, b"value of " + key)
        engine.write(batch)

    def keys(
        self, engine: KeyValueEngine, start: bytes, end: bytes, limit: int = 99, reverse: bool = False
    ) -> list[bytes]:
        return [key for key, _ in engine.scan("log", start, end, limit, reverse)]

    def test_an_absent_key_is_none(self, engine: KeyValueEngine) -> None:
        assert engine.get("log", b"a") is None
        assert engine.getter("log")(b"a") is None

    def test_families_are_apart(self, engine: KeyValueEngine) -> None:
        self.fill(engine, b"a")
        assert engine.get("log", b"a") == engine.getter("log")(b"a") == b"value of a"
        assert engine.get("meta", b"a") is None

    def test_a_scan_takes_the_start_and_leaves_the_end(self, engine: KeyValueEngine) -> None:
        self.fill(engine, b"a", b"b", b"b\0", b"c")
        assert self.keys(engine, b"b", b"c") == [b"b", b"b\0"]
        assert self.keys(engine, b"b", b"c", reverse=True) == [b"b\0", b"b"]

    def test_a_limit_counts_from_the_side_that_the_scan_begins(self, engine: KeyValueEngine) -> None:
        self.fill(engine, b"a", b"b", b"c", b"d")
        assert self.keys(engine, b"a", b"d", 2) == [b"a", b"b"]
        assert self.keys(engine, b"a", b"d", 2, reverse=True) == [b"c", b"b"]

    def test_a_batch_is_applied_in_its_order(self, engine: KeyValueEngine) -> None:
        batch = engine.batch()
        batch.put("log", b"a", b"1")
        batch.delete("log", b"a")
        batch.put("log", b"b", b"1")
        batch.put("log", b"b", b"2")
        batch.put("log", b"c", b"1")
        batch.delete_range("log", b"c", b"d")
        engine.write(batch)
        assert engine.scan("log", b"", b"z", 9) == [(b"b", b"2")]

    def test_a_batch_grows(self, engine: KeyValueEngine) -> None:
        batch = engine.batch()
        before = batch.size
        batch.put("log", b"a", b"x" * 100)
        assert batch.size >= before + 100

    def test_nothing_shows_before_the_write(self, engine: KeyValueEngine) -> None:
        batch = engine.batch()
        batch.put("log", b"a", b"1")
        assert engine.get("log", b"a") is None

    @settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(
        keys=st.lists(st.binary(min_size=1, max_size=3), max_size=12),
        start=st.binary(max_size=3),
        end=st.binary(max_size=3),
        limit=st.integers(1, 5),
        reverse=st.booleans(),
    )
    def test_scans_agree_with_a_sorted_list(
        self, engine: KeyValueEngine, keys: list[bytes], start: bytes, end: bytes, limit: int, reverse: bool
    ) -> None:
        batch = engine.batch()
        batch.delete_range("order", b"", b"\xff" * 9)
        for key in keys:
            batch.put("order", key, b"")
        engine.write(batch)
        expected = sorted((k for k in set(keys) if start <= k < end), reverse=reverse)[:limit]
        assert [key for key, _ in engine.scan("order", start, end, limit, reverse)] == expected

    def test_sync_flush_and_statistics_work(self, engine: KeyValueEngine) -> None:
        self.fill(engine, b"a")
        engine.sync()
        engine.flush()
        assert engine.statistics()["log_keys"] == 1

    def test_count_reads_a_range_up_to_its_limit(self, engine: KeyValueEngine) -> None:
        self.fill(engine, b"a", b"b1", b"b2", b"b3", b"c")
        assert engine.count("log", b"b", b"c", 99) == 3
        assert engine.count("log", b"b", b"c", 2) == 2
        assert engine.count("log", b"x", b"z", 9) == 0
