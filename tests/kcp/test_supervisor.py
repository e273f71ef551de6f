"""The supervisor over real child processes that only pretend to be shards and fronts."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from kcp import supervisor
from kcp.output import Refused
from kcp.programs import Program
from kcp.supervisor import Supervisor

FAKE = Path(__file__).with_name("fake_program.py")


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "journal"
    path.touch()
    return path


@pytest.fixture
def fake(journal: Path) -> Callable[..., Program]:
    def make(name: str, *options: str, stage: int = 0) -> Program:
        arguments = (sys.executable, str(FAKE), "--name", name, "--journal", str(journal), *options)
        return Program(name, arguments, stage)

    return make


def lines(journal: Path, what: str) -> list[tuple[str, int]]:
    """(name, process id) of each thing of that sort that has happened, in order."""
    split = (line.split() for line in journal.read_text().splitlines())
    return [(name, int(process)) for name, happened, process in split if happened == what]


@asynccontextmanager
async def running(*programs: Program, form: str = "text") -> AsyncIterator[Supervisor]:
    """A supervisor that has become ready; stopped at the end if the body has not done so."""
    made, ready = Supervisor(programs, form), asyncio.Event()
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(made.run(ready.set))
        await ready.wait()
        yield made
        if not made.is_stopping():
            made.stop()


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.01)


def is_alive(process: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_a_dead_program_is_started_again_at_once(fake: Callable[..., Program], journal: Path) -> None:
    async with running(fake("shard-1")):
        [(_, first)] = lines(journal, "started")
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: len(lines(journal, "started")) == 2)


async def test_a_program_that_keeps_dying_is_started_ever_more_slowly(
    fake: Callable[..., Program], journal: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with running(fake("shard-1")):
        for deaths in range(1, 4):
            os.kill(lines(journal, "started")[-1][1], signal.SIGKILL)
            await eventually(lambda deaths=deaths: len(lines(journal, "started")) == deaths + 1)  # type: ignore[misc]
    said = capfd.readouterr().err
    assert "shard-1 was ended by SIGKILL; starting it again\n" in said
    assert "starting it again in 0.25 s\n" in said
    assert "starting it again in 0.5 s\n" in said


async def test_fronts_have_ended_before_shards_are_asked_to(fake: Callable[..., Program], journal: Path) -> None:
    fronts = [fake(f"front-{n}", "--stop-takes", "0.2") for n in (1, 2)]
    async with running(fake("shard-1", stage=1), *fronts) as made:
        made.stop()
    happened = [line.split()[:2] for line in journal.read_text().splitlines()]
    assert happened.index(["shard-1", "stopping"]) > max(
        happened.index(["front-1", "stopped"]), happened.index(["front-2", "stopped"])
    )
    assert ["shard-1", "stopped"] in happened


async def test_a_late_program_is_not_waited_for_and_stops_first(fake: Callable[..., Program], journal: Path) -> None:
    late = fake("controllers", "--silent", stage=-1)
    async with running(fake("shard-1", stage=1), replace(late, late=True)) as made:
        await eventually(lambda: len(lines(journal, "started")) == 2)
        assert [name for name, _ in lines(journal, "started")] == ["shard-1", "controllers"]
        made.stop()
    assert [name for name, _ in lines(journal, "stopped")] == ["controllers", "shard-1"]


async def test_a_second_signal_kills(fake: Callable[..., Program], journal: Path) -> None:
    async with running(fake("front-1", "--deaf"), fake("shard-1", "--deaf", stage=1)):
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.1)
        assert all(is_alive(process) for _, process in lines(journal, "started"))
        os.kill(os.getpid(), signal.SIGINT)
    assert not any(is_alive(process) for _, process in lines(journal, "started"))


async def test_a_program_that_does_not_end_in_time_is_killed(
    fake: Callable[..., Program], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervisor, "GRACE_S", 0.1)
    async with running(fake("front-1", "--deaf")) as made:
        made.stop()
    assert "front-1 did not end in 0.1 s: killed" in capfd.readouterr().err


async def test_a_program_that_cannot_start_stops_the_others_and_its_sentence_is_told(
    fake: Callable[..., Program], journal: Path
) -> None:
    made = Supervisor([fake("shard-1"), fake("shard-2", "--refuse", "data is damaged: no CURRENT file")])
    with pytest.raises(Refused, match=r"^shard-2 ended with code 3 before it was ready: data is damaged"):
        await made.run(lambda: pytest.fail("never ready"))
    assert not any(is_alive(process) for _, process in lines(journal, "started"))


async def test_a_missing_program_is_a_failed_start() -> None:
    with pytest.raises(Refused, match="No such file"):
        await Supervisor([Program("shard-1", ("/does/not/exist",))]).run(lambda: None)


async def test_stopping_before_everything_is_ready(fake: Callable[..., Program], journal: Path) -> None:
    made = Supervisor([fake("shard-1", "--silent")])
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(made.run(lambda: pytest.fail("never ready")))
        await eventually(lambda: bool(lines(journal, "started")))
        made.stop()
    assert lines(journal, "stopped")


async def test_workers_of_a_dead_program_do_not_outlive_it(fake: Callable[..., Program], journal: Path) -> None:
    async with running(fake("shard-1", "--with-worker")):
        await eventually(lambda: bool(lines(journal, "worker")))
        [(_, worker)], [(_, parent)] = lines(journal, "worker"), lines(journal, "started")
        os.kill(parent, signal.SIGKILL)
        await eventually(lambda: len(lines(journal, "started")) == 2)
        assert not is_alive(worker)


async def test_logs_are_marked_with_their_process(
    fake: Callable[..., Program], capfd: pytest.CaptureFixture[str]
) -> None:
    async with running(fake("shard-1", "--say", "opened")):
        pass
    assert "shard-1 | opened\n" in capfd.readouterr().err


async def test_the_service_manager_learns_of_readiness(
    fake: Callable[..., Program], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        async with running(fake("shard-1")):
            assert manager.recv(100) == b"READY=1"


async def test_periodic_work_that_fails_is_told_and_ends_nothing(
    fake: Callable[..., Program], journal: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervisor, "PERIOD_S", 0.05)
    calls: list[int] = []

    def renew() -> None:
        calls.append(1)
        raise OSError(28, "No space left on device")

    made = Supervisor([fake("shard-1")])
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(made.run(lambda: None, renew))
        await eventually(lambda: len(calls) >= 2)
        assert is_alive(lines(journal, "started")[0][1])
        made.stop()
    assert "No space left on device" in capfd.readouterr().err


async def test_children_die_with_a_supervisor_that_is_killed(
    fake: Callable[..., Program], journal: Path, tmp_path: Path
) -> None:
    program = fake("shard-1")
    script = (
        "import asyncio;from kcp.supervisor import Supervisor;from kcp.programs import Program;"
        f"asyncio.run(Supervisor([Program('shard-1', {program.arguments!r})]).run(lambda: print('up', flush=True)))"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert parent.stdout and await parent.stdout.readline() == b"up\n"
    [(_, child)] = lines(journal, "started")
    parent.kill()
    await parent.wait()
    await eventually(lambda: not is_alive(child))
    parent._transport.close()  # type: ignore[attr-defined]  # or its pipe is reported as leaked


async def test_what_is_added_or_taken_out_while_it_runs(fake: Callable[..., Program], journal: Path) -> None:
    first, second = fake("shard-1"), fake("shard-2")
    wanted = [first]
    made, ready = Supervisor([first], present=lambda: wanted), asyncio.Event()
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(made.run(ready.set))
        await ready.wait()
        wanted.append(second)
        os.kill(os.getpid(), signal.SIGUSR1)
        await eventually(lambda: len(lines(journal, "started")) == 2)
        [(_, one), (name, two)] = lines(journal, "started")
        assert name == "shard-2"
        await asyncio.sleep(0.2)
        wanted.remove(second)
        os.kill(os.getpid(), signal.SIGUSR1)
        await eventually(lambda: not is_alive(two))
        await asyncio.sleep(0.3)
        assert len(lines(journal, "started")) == 2 and is_alive(one)
        made.stop()
