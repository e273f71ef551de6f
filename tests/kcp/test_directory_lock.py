import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kcp.directory_lock import lock_directory
from kcp.output import Refused


def test_the_second_is_told_who_has_it(tmp_path: Path) -> None:
    lock_directory(tmp_path)
    with pytest.raises(Refused, match=rf"^directory {tmp_path} is in use by process {os.getpid()}$"):
        lock_directory(tmp_path)


def test_it_is_free_after_closing(tmp_path: Path) -> None:
    lock_directory(tmp_path).close()
    lock_directory(tmp_path).close()


def test_it_stays_taken_while_a_child_holds_it_and_a_new_start_waits_for_that(tmp_path: Path) -> None:
    script = (
        "import os,subprocess,sys;from pathlib import Path;from kcp.directory_lock import lock_directory;"
        f"lock = lock_directory(Path({str(tmp_path)!r}));"
        "child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=0, pass_fds=(lock.descriptor,));"
        "print('held', flush=True); os.kill(os.getpid(), 9)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout and supervisor.stdin
        assert supervisor.stdout.readline() == b"held\n"
        supervisor.wait()
        with pytest.raises(Refused, match=f"in use by process {supervisor.pid}"):
            lock_directory(tmp_path, patience_s=0.05)
        release = threading.Timer(0.1, supervisor.stdin.close)
        release.start()
        lock_directory(tmp_path, patience_s=5).close()
        release.join()


def test_an_unreadable_holder_is_waited_for_and_then_named_unknown(tmp_path: Path) -> None:
    lock_directory(tmp_path)
    (tmp_path / "lock").write_text("")
    with pytest.raises(Refused, match="in use by process unknown"):
        lock_directory(tmp_path, patience_s=0.05)
