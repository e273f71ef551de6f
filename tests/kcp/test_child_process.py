import asyncio
import os
import signal
import sys

from kcp.child_process import ChildProcess
from kcp.programs import Program


def child(script: str, inherit: tuple[int, ...] = ()) -> tuple[ChildProcess, list[tuple[str, bytes]]]:
    logged: list[tuple[str, bytes]] = []
    program = Program("shard-1", (sys.executable, "-c", script))
    return ChildProcess(program, inherit, lambda name, line: logged.append((name, line))), logged


async def test_ready_is_its_line_and_not_a_log_line() -> None:
    made, logged = child("print('ready'); print('other')")
    assert await made.run() == 0
    assert made.was_ready
    assert logged == [("shard-1", b"other")]


async def test_its_end_without_the_line_sets_ready_too_and_keeps_the_sentence() -> None:
    made, _ = child("import sys; print('data is damaged', file=sys.stderr); sys.exit(3)")
    assert await made.run() == 3
    assert made.ready.is_set()
    assert not made.was_ready
    assert made.last_line == "data is damaged"


async def test_the_last_output_before_its_end_is_not_lost() -> None:
    made, logged = child("import sys; sys.stderr.write('x\\n' * 50000 + 'no newline')")
    await made.run()
    assert len(logged) == 50001
    assert logged[-1] == ("shard-1", b"no newline")


async def test_a_signal_is_a_negative_code() -> None:
    made, _ = child("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert await made.run() == -signal.SIGKILL


async def test_it_reads_nothing_and_leads_its_own_group() -> None:
    made, logged = child("import os, sys; print(sys.stdin.read() == '', os.getpgid(0) == os.getpid())")
    await made.run()
    assert logged == [("shard-1", b"True True")]


async def test_it_inherits_the_named_descriptors_only() -> None:
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    made, _ = child(
        f"import os; os.fstat({writing})\ntry: os.fstat({reading})\nexcept OSError: os._exit(7)", (writing,)
    )
    assert await made.run() == 7
    os.close(reading)
    os.close(writing)


async def test_cancelling_kills_it() -> None:
    made, _ = child("print('ready', flush=True); import time; time.sleep(60)")
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(made.run())
        await made.ready.wait()
        running.cancel()
    made.kill()  # again, and too late: nothing happens


async def test_no_descriptor_is_left(tmp_path: object) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        made, _logged = child("print('ready')")
        await made.run()
    assert len(os.listdir("/proc/self/fd")) == before
