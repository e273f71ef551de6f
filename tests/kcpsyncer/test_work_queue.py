import asyncio
import itertools
from typing import Any

from kcpsyncer.work_queue import MAX_RETRY_S, WorkQueue
from tests.virtual_time import run


async def drive(queue: WorkQueue[str], seconds: float) -> None:
    task = asyncio.ensure_future(queue.run())  # noqa: TID251 - a test's own task, cancelled below
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.wait([task])


def test_a_key_is_done_once_however_often_it_is_named() -> None:
    done: list[str] = []

    async def do(key: str) -> None:
        done.append(key)

    async def main() -> None:
        queue = WorkQueue(do)
        for key in ("a", "b", "a", "a"):
            queue.add(key)
        await drive(queue, 1)

    run(main())
    assert done == ["a", "b"]


def test_named_while_it_is_done_it_is_done_again_but_not_at_the_same_time() -> None:
    log: list[str] = []

    async def main() -> None:
        async def do(key: str) -> None:
            log.append("begin")
            if len(log) == 1:
                queue.add(key)
            await asyncio.sleep(1)
            log.append("end")

        queue: WorkQueue[str] = WorkQueue(do)
        queue.add("a")
        await drive(queue, 10)

    run(main())
    assert log == ["begin", "end", "begin", "end"]


def test_failures_come_ever_more_slowly_and_hold_up_nobody() -> None:
    times: list[float] = []
    others: list[str] = []
    refused: list[tuple[str, str]] = []

    async def main() -> None:
        async def do(key: str) -> None:
            if key != "broken":
                others.append(key)
                return
            times.append(asyncio.get_running_loop().time())
            raise ValueError("no")

        queue = WorkQueue(do, workers=1, refused=lambda key, error: refused.append((key, str(error))))
        queue.add("broken")
        queue.add("fine")
        await drive(queue, 400)

    run(main())
    assert others == ["fine"] and refused[0] == ("broken", "no")
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert gaps == sorted(gaps) and gaps[-1] <= MAX_RETRY_S + 1 and gaps[0] < 0.2


def test_again_after_a_while_unless_earlier() -> None:
    times: list[float] = []

    async def main() -> None:
        async def do(key: str) -> float | None:
            times.append(asyncio.get_running_loop().time())
            return 10.0 if len(times) < 3 else None

        queue = WorkQueue(do)
        queue.add("a")
        asyncio.get_running_loop().call_later(4, queue.add, "a")
        await drive(queue, 100)

    run(main())
    assert [round(t) for t in times] == [0, 4, 14]


def test_length_counts_what_is_ready() -> None:
    async def do(_key: str) -> None:
        return None

    async def main() -> Any:
        queue = WorkQueue(do)
        queue.add("a")
        return len(queue)

    assert run(main()) == 1
