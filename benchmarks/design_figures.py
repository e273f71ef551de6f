"""The design's storage figures (M1 to M4) and the store's own, measured on this machine for one shard alone.

    python -m benchmarks.design_figures

Times are medians of repeated runs in one process; wall time on a shared machine varies by half, so look at the ratios.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import rocksdict

from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, Put
from kcpshard.storage.object_store import Store
from kcpshard.storage.rocksdb_engine import RocksdbEngine

KILOBYTE = 900  # of data, ~1 kB with metadata
OBJECTS = 5000
_serial = count()


def now_us() -> int:
    return time.time_ns() // 1000


def config_map(name: str, size: int = KILOBYTE) -> Put:
    metadata = {"name": name, "namespace": "default", "uid": "0" * 36, "labels": {"app": "bench"}}
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": "v" * size}}
    json, hole, annotations = envelope.encode_object(document)
    return Put("configmaps", "default", name, json, hole, annotations, "0" * 36, "v1", {"app": "bench"}, {})


def micros(call: Callable[[], object], times: int, rounds: int = 5) -> float:
    """CPU microseconds of one call, median over rounds."""
    found = []
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(times):
            call()
        found.append((time.process_time() - start) / times * 1e6)
    return statistics.median(found)


def show(what: str, figure: str, target: str = "") -> None:
    print(f"{what:<62} {figure:>16}  {target}")


async def loop_lag(work: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Milliseconds that a ticking loop is late while `work` runs on a thread: median and worst."""
    lags: list[float] = []
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as pool:
        for _ in range(repeats):
            running = loop.run_in_executor(pool, work)
            while not running.done():
                before = time.perf_counter()
                await asyncio.sleep(0.0002)
                lags.append((time.perf_counter() - before - 0.0002) * 1e3)
            await running
    return statistics.median(lags), max(lags)


def filled_batch(engine: RocksdbEngine, objects: int) -> Any:
    batch = engine.batch()
    for _ in range(objects):
        batch.put("objects", b"m-%012d" % next(_serial), b"x" * 1000)
    return batch


async def group_commit(engine: RocksdbEngine) -> None:
    synced = rocksdict.WriteOptions()
    synced.sync = True

    def write_with_sync() -> None:
        engine._db.write(filled_batch(engine, 200).raw, synced)

    show(
        "M1 write(sync) of 200 objects on a thread: loop lag",
        "{:.2f} / {:.1f} ms".format(*await loop_lag(write_with_sync, 20)),
    )

    def only_sync() -> None:
        engine.sync()

    lags = []
    for _ in range(20):
        engine.write(filled_batch(engine, 200))
        lags.append(await loop_lag(only_sync, 1))
    median, worst = statistics.median(lag for lag, _ in lags), max(lag for _, lag in lags)
    show("M2 flush_wal(True) on a thread: loop lag median / worst", f"{median:.2f} / {worst:.1f} ms", "0.07 ms")
    for objects in (1, 100, 1000):
        times = []
        for _ in range(10):
            engine.write(filled_batch(engine, objects))
            start = time.perf_counter()
            engine.sync()
            times.append((time.perf_counter() - start) * 1e3)
        show(
            f"M2 one sync after {objects} objects of 1 kB",
            f"{statistics.median(times):.2f} ms",
            "2-3 ms, whatever the batch",
        )


def reads(engine: RocksdbEngine) -> None:
    keys = [key for key, _ in engine.scan("objects", b"m-", b"m.", 1000)]
    get, turn = engine.getter("objects"), iter(keys * 1000)
    show("M3 point get", f"{micros(lambda: get(next(turn)), 5000):.2f} us", "2.4 us")
    per_object = micros(lambda: engine.scan("objects", b"m-", b"m.", 1000), 10) / 1000
    show("M3 iteration, an object", f"{per_object:.2f} us", "0.6-2.2 us")
    show(
        "M3 seek and one object",
        f"{micros(lambda: engine.scan('objects', keys[500], b'm.', 1), 1000):.2f} us",
        "9-10 us",
    )


def range_deletes(engine: RocksdbEngine) -> None:
    def pair() -> None:
        key = b"r-%012d" % next(_serial)
        batch = engine.batch()
        batch.delete_range("meta", key, key + b"~")
        engine.write(batch)
        engine.get("meta", key)

    first = micros(pair, 20, 1)
    for _ in range(4000):
        pair()
    last = micros(pair, 20, 1)
    show("M4 range delete and get: alone / after 4,000 of them", f"{first:.0f} / {last:.0f} us", "2 / 790 us")


async def drained(store: Store) -> None:
    done = asyncio.Event()
    store.put_meta({}).when_durable(done.set)
    await done.wait()


async def commits(store: Store, cluster: LogicalCluster) -> None:
    puts = [config_map(f"cm-{n:05}") for n in range(OBJECTS)]
    for what, target in (("create", "60 us"), ("update", "60 us")):
        start = time.process_time()
        for n, put in enumerate(puts):
            store.commit(cluster, [put], b"0123456789abcdef", 201)
            if not n % 50:
                await asyncio.sleep(0)
        await drained(store)
        used = (time.process_time() - start) / OBJECTS * 1e6
        show(f"store: {what} of 1 kB, all of commit, write, sync and announce", f"{used:.1f} us", target)
    before = store.statistics().groups
    start = time.perf_counter()
    for n in range(200):
        store.commit(cluster, [puts[n]])
        await drained(store)
    taken, groups = time.perf_counter() - start, store.statistics().groups - before
    show("store: one writer that waits for each sync", f"{taken / 200 * 1e3:.2f} ms", f"{groups} groups")


def store_reads(store: Store, cluster: LogicalCluster) -> None:
    names = iter([f"cm-{n * 7919 % OBJECTS:05}" for n in range(OBJECTS)] * 20)

    def get() -> None:
        found = store.find_cluster("root")
        assert found is not None
        store.get(found, "configmaps", "default", next(names))

    show("store: find the cluster and get, keys in random order", f"{micros(get, 10_000):.2f} us", "5 us")
    revision = store.durable_revision
    args = (cluster, "configmaps", "default")
    show("store: scan of 500, present", f"{micros(lambda: store.scan(*args, 0, None, 500), 10):.0f} us", "700 us")
    at_revision = micros(lambda: store.scan(*args, revision, None, 500), 10)
    show("store: scan of 500 at a revision", f"{at_revision:.0f} us")
    first = store.log(cluster, cluster.id, revision, 1)[0].revision
    show("store: 256 log records replayed", f"{micros(lambda: store.log(cluster, first, revision, 256), 10):.0f} us")
    slice_ms = max(micros(lambda: store.scan(*args, 0, None, 256), 1, 1) for _ in range(50)) / 1e3
    show("store: the longest of 50 slices of 256 holds the loop", f"{slice_ms:.2f} ms", "5 ms")


async def births(store: Store, many: int = 2000) -> None:
    start = time.perf_counter()
    for n in range(many):
        store.create_cluster(f"root:c{n:05}", [config_map(f"first-{m}", 100) for m in range(9)])
        if not n % 20:
            await asyncio.sleep(0)
    await drained(store)
    show("store: births of 9 objects a second, synced", f"{many / (time.perf_counter() - start):.0f}", "500")


async def compaction(store: Store) -> None:
    gaps: list[float] = []
    held: list[float] = []
    done = asyncio.Event()

    async def tick() -> None:
        while not done.is_set():
            before, worked = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0)
            gaps.append((time.perf_counter() - before) * 1e3)
            held.append((time.thread_time() - worked) * 1e3)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(tick())
        start = time.process_time()
        records = await store.compact(now_us() + 2 * 86_400_000_000)
        done.set()
    used = (time.process_time() - start) / records * 1e6
    show(f"store: compaction of {records} records, each", f"{used:.1f} us")
    show("store: longest compaction step, CPU / wall time", f"{max(held):.1f} / {max(gaps):.1f} ms", "5 ms")


async def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as directory:
        show("what", "here", "design or target")
        engine = RocksdbEngine(f"{directory}/engine")
        await group_commit(engine)
        reads(engine)
        range_deletes(engine)
        engine.close()
        store = Store(RocksdbEngine(f"{directory}/store"), 1, now_us)
        cluster, _ = store.create_cluster("root", [config_map("first")])
        await drained(store)
        await commits(store, cluster)
        store_reads(store, cluster)
        await births(store)
        await compaction(store)
        await store.close()


if __name__ == "__main__":
    asyncio.run(main())
