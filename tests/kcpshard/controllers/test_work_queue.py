from hypothesis import given
from hypothesis import strategies as st

from kcpshard.controllers.work_queue import FIRST_RETRY_S, LAST_RETRY_S, Item, WorkQueue


def item(cluster: int, name: str = "a") -> Item:
    return Item("c", cluster, (name,))


def test_logical_clusters_take_turns() -> None:
    queue = WorkQueue()
    for at in range(3):
        queue.add(item(1, str(at)), 1)
    queue.add(item(2), 1)
    assert [queue.take() for _ in range(5)] == [item(1, "0"), item(2), item(1, "1"), item(1, "2"), None]


def test_a_key_is_worked_on_once_at_a_time() -> None:
    queue = WorkQueue()
    queue.add(item(1), 5)
    queue.add(item(1), 6)
    assert queue.take() == item(1) and queue.take() is None
    queue.add(item(1), 7)
    assert queue.take() is None and len(queue) == 1
    queue.done(item(1))
    assert queue.take() == item(1) and queue.oldest() == 7
    queue.done(item(1))
    assert queue.oldest() is None and len(queue) == 0


def test_failures_wait_ever_longer_and_keep_their_revision() -> None:
    queue = WorkQueue()
    queue.add(item(1), 5)
    waits = []
    now = 0.0
    for _ in range(20):
        assert queue.take() == item(1)
        queue.add(item(1), 9)
        waits.append(queue.failed(item(1), now))
        assert queue.next_due() == now + waits[-1] and queue.oldest() == 5
        now += waits[-1] / 2
        queue.wake(now)
        assert queue.take() is None
        now += waits[-1]
        queue.wake(now)
    assert waits[0] == FIRST_RETRY_S and waits[-1] == LAST_RETRY_S and waits == sorted(waits)


def test_what_is_delayed_comes_sooner_if_it_is_added() -> None:
    queue = WorkQueue()
    queue.add(item(1), 5)
    queue.take()
    queue.later(item(1), 100.0)
    assert queue.take() is None
    queue.add(item(1), 8)
    assert queue.take() == item(1) and queue.next_due() is None and queue.oldest() == 5


def test_added_meanwhile_counts_more_than_later() -> None:
    queue = WorkQueue()
    queue.add(item(1), 5)
    queue.take()
    queue.add(item(1), 6)
    queue.later(item(1), 100.0)
    assert queue.take() == item(1)


@given(st.lists(st.tuples(st.sampled_from(["add", "take", "done", "later", "failed", "wake"]), st.integers(0, 3))))
def test_nothing_added_is_ever_lost(steps: list[tuple[str, int]]) -> None:
    queue, now, active, owed = WorkQueue(), 0.0, list[Item](), set[Item]()
    for step, at in steps:
        now += 1
        if step == "add":
            queue.add(item(at % 2, str(at)), at)
            owed.add(item(at % 2, str(at)))
        elif step == "take" and (found := queue.take()):
            assert found not in active
            active.append(found)
            owed.discard(found)
        elif step in ("done", "later", "failed") and active:
            ended = active.pop(at % len(active))
            if step == "done":
                queue.done(ended)
            elif step == "later":
                queue.later(ended, now + 2)
            else:
                queue.failed(ended, now)
        queue.wake(now)
    for ended in active:
        queue.done(ended)
    queue.wake(now + 1000)
    while found := queue.take():
        owed.discard(found)
        queue.done(found)
    assert not owed and len(queue) == 0


def test_after_a_restart_what_was_worked_on_waits_again() -> None:
    queue = WorkQueue()
    queue.add(item(1), 5)
    queue.take()
    queue.restart()
    assert queue.active == 0 and queue.take() == item(1) and queue.oldest() == 5
