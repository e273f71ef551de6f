"""One child process: started in its own process group, tied to our life, its output read line by line.

Built on pidfds and not on asyncio's subprocesses: those report an end only once every holder of the pipes has closed
them, and a worker left behind by a killed child would keep them for ever.
"""

import asyncio
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from typing import IO

from kcp.process_logs import LineSplitter
from kcp.programs import Program

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_READY = b"ready"


class ChildProcess:
    """From its start to its end. `ready` is set when it has printed its line, or when it has ended."""

    def __init__(self, program: Program, inherit: tuple[int, ...], log: Callable[[str, bytes], None]) -> None:
        self.program = program
        self.ready = asyncio.Event()
        self.was_ready = False
        self.last_line = ""  # on standard error: the sentence it gives up with
        self._inherit = inherit
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    async def run(self) -> int:
        """Start it and wait for its end; returns the exit code, negative for a signal. Cancelling kills it."""
        try:
            self._process = self._start()
        except OSError as fault:  # no memory, no descriptors: as if it had died at once
            self.last_line = f"cannot start it: {fault.strerror}"
            self.ready.set()
            return 127
        pipes = [
            _PipeReader(self._process.stdout, self._standard_output),
            _PipeReader(self._process.stderr, self._standard_error),
        ]
        try:
            await _ended(self._process.pid)
        finally:
            # Workers of the child must not outlive it: the next one would compete with them. Before `wait`, because
            # until then the number of the group cannot be anybody else's.
            self._signal_group(signal.SIGKILL)
            code = self._process.wait()
            for pipe in pipes:
                pipe.finish()
            self.ready.set()
        return code

    def terminate(self) -> None:
        """Ask it to finish what it does and end."""
        if self._process:
            self._process.terminate()

    def kill(self) -> None:
        if self._process and self._process.returncode is None:
            self._signal_group(signal.SIGKILL)

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603  the program is ours
            self.program.arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            process_group=0,  # a Ctrl-C at the terminal is for the supervisor alone
            pass_fds=self._inherit,
            preexec_fn=_die_with(os.getpid()),
        )

    def _signal_group(self, number: int) -> None:
        if self._process:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _standard_output(self, line: bytes) -> None:
        if line.strip() == _READY:
            self.was_ready = True
            self.ready.set()
        else:
            self._log(self.program.name, line)

    def _standard_error(self, line: bytes) -> None:
        if line.strip():
            self.last_line = line.decode(errors="replace").strip()
        self._log(self.program.name, line)


class _PipeReader:
    """Gives each line of a pipe to `take` as it comes, until `finish`, which takes what is there and closes."""

    def __init__(self, pipe: IO[bytes] | None, take: Callable[[bytes], None]) -> None:
        assert pipe
        self._pipe = pipe
        self._descriptor = pipe.fileno()
        self._take = take
        self._lines = LineSplitter()
        os.set_blocking(self._descriptor, False)
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def finish(self) -> None:
        while self._read():
            pass
        asyncio.get_running_loop().remove_reader(self._descriptor)
        for line in self._lines.finish():
            self._take(line)
        self._pipe.close()

    def _read(self) -> bool:
        """False when there is nothing more for now, or for ever."""
        try:
            data = os.read(self._descriptor, 1 << 16)
        except BlockingIOError:
            return False
        if not data:
            asyncio.get_running_loop().remove_reader(self._descriptor)
        for line in self._lines.feed(data):
            self._take(line)
        return bool(data)


async def _ended(process: int) -> None:
    """Wait until a child has ended; it stays a zombie until somebody waits for it."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    descriptor = os.pidfd_open(process)
    try:
        loop.add_reader(descriptor, ended.set)
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _die_with(parent: int) -> Callable[[], None]:
    """Runs in the child before its program: the kernel kills it when we die, however we die."""

    def prepare() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # we died before the call
            os.kill(os.getpid(), signal.SIGKILL)

    return prepare
