import threading
from collections.abc import Sequence

from kcpfront.audit.delivery import Delivery, Limits


async def test_batches_arrive_whole_and_in_order() -> None:
    found: list[bytes] = []
    delivery = Delivery("log", lambda records: found.extend(records), Limits(batch=3))
    delivery.put([b"%d" % n for n in range(10)])
    await delivery.written()
    assert found == [b"%d" % n for n in range(10)]
    delivery.put([b"last"])
    await delivery.close(5)
    assert found[-1] == b"last" and delivery.dropped == 0


async def test_a_full_queue_drops_the_newest_and_counts_them() -> None:
    entered, go, found = threading.Event(), threading.Event(), list[bytes]()

    def write(records: Sequence[bytes]) -> None:
        entered.set()
        go.wait(5)
        found.extend(records)

    delivery = Delivery("log", write, Limits(events=2, bytes=10, batch=1))
    delivery.put([b"0"])
    entered.wait(5)
    delivery.put([b"1", b"2", b"3"])
    assert delivery.dropped == 1
    go.set()
    await delivery.written()
    delivery.put([b"x" * 11])
    assert (delivery.dropped, found) == (2, [b"0", b"1", b"2"])
    await delivery.close(5)
    delivery.put([b"late"])
    assert delivery.dropped == 3


async def test_a_failed_write_is_counted_and_the_next_goes_on() -> None:
    outcomes = [OSError("disk full"), None]

    def write(records: Sequence[bytes]) -> None:
        if (fault := outcomes.pop(0)) is not None:
            raise fault

    delivery = Delivery("log", write)
    for record in (b"a", b"b"):
        delivery.put([record])
        await delivery.written()
    assert (delivery.errors, delivery.dropped) == (1, 1)
    await delivery.close(5)


async def test_a_batch_may_wait_for_more() -> None:
    batches: list[int] = []
    delivery = Delivery("webhook", lambda records: batches.append(len(records)), Limits(batch=4, wait_s=60.0))
    for _ in range(4):
        delivery.put([b"x"])
    await delivery.written()
    assert batches == [4]
    await delivery.close(5)
