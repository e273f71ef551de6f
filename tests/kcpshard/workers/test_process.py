import os
import signal
import subprocess
import sys
import textwrap
import time

from kcpshard.workers.process import HEAD, JOB, RESULT


def started(parent: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "kcpshard.workers.process", str(parent)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_a_job_by_hand_and_the_end_of_input() -> None:
    with started(os.getpid()) as worker:
        assert worker.stdin is not None and worker.stdout is not None
        job = b"tests.kcpshard.workers.jobs:echo\nhello"
        worker.stdin.write(HEAD.pack(JOB, 0, len(job)) + job)
        worker.stdin.flush()
        kind, _, length = HEAD.unpack(worker.stdout.read(HEAD.size))
        assert (kind, worker.stdout.read(length)) == (RESULT, b"hello")
        assert os.getpriority(os.PRIO_PROCESS, worker.pid) > os.getpriority(os.PRIO_PROCESS, 0)
        worker.stdin.close()
        assert worker.wait(20) == 0


def test_one_whose_parent_is_gone_already_ends() -> None:
    with started(1) as worker:
        assert worker.wait(20) == 0


def test_it_dies_with_its_parent_even_at_work() -> None:
    script = """
        import os, subprocess, sys, time
        from kcpshard.workers.process import HEAD, JOB
        worker = subprocess.Popen(
            [sys.executable, "-m", "kcpshard.workers.process", str(os.getpid())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        job = b"tests.kcpshard.workers.jobs:curious\\n"
        worker.stdin.write(HEAD.pack(JOB, 0, len(job)) + job)
        worker.stdin.flush()
        worker.stdout.read(1)
        print(worker.pid, flush=True)
        time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        deadline = time.monotonic() + 20
        while os.path.exists(f"/proc/{pid}") and not _is_zombie(pid):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def _is_zombie(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
