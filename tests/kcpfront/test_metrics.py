import asyncio

from kcpfront.metrics import Metrics


def test_requests_are_counted_and_timed() -> None:
    metrics = Metrics()
    metrics.answered("get", 200, 0.003)
    metrics.answered("get", 200, 0.3)
    metrics.answered("get", 404, 100.0)
    text = metrics.text().decode()
    assert 'apiserver_request_total{code="200",verb="get"} 2.0' in text
    assert 'apiserver_request_duration_seconds_bucket{le="0.005",verb="get"} 1.0' in text
    assert 'apiserver_request_duration_seconds_bucket{le="0.5",verb="get"} 2.0' in text
    assert 'apiserver_request_duration_seconds_bucket{le="+Inf",verb="get"} 3.0' in text
    assert 'apiserver_request_duration_seconds_count{verb="get"} 3.0' in text


def test_gauges_are_read_when_asked() -> None:
    metrics = Metrics()
    metrics.watches = lambda: 7
    metrics.accept_pauses = 2
    text = metrics.text().decode()
    assert "apiserver_longrunning_requests 7.0" in text
    assert "kcp_front_accept_pauses_total 2.0" in text
    assert "process_resident_memory_bytes" in text


def test_what_passes_between_front_and_shard_is_counted_by_shard() -> None:
    metrics = Metrics()
    counts = {"lists": 1, "sent_again": 2, "streams_opened": 3, "watch_links_opened": 4, "watches_resumed": 5}
    metrics.shards = lambda: {7: counts}
    text = metrics.text().decode()
    assert 'kcp_front_shard_lists_total{shard="7"} 1.0' in text
    assert 'kcp_front_shard_watches_resumed_total{shard="7"} 5.0' in text


async def test_what_is_gathered_is_the_same_and_leaves_the_loop_in_between() -> None:
    metrics = Metrics()
    metrics.answered("get", 200, 0.01)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        counting = tasks.create_task(count())
        gathered = (await metrics.gather()).decode()
        counting.cancel()
    names = [line for line in metrics.text().decode().splitlines() if line.startswith("# ")]
    assert [line for line in gathered.splitlines() if line.startswith("# ")] == names
    assert turns >= gathered.count("# TYPE")
