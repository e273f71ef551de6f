"""One child process: started in its own process group, tied to our life, its output read line by line."""

import asyncio
import ctypes
import os
import signal
from collections.abc import Callable
from contextlib import suppress

from kcp.process_logs import LineSplitter
from kcp.programs import Program

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
# A grandchild may hold the pipes after its parent's death; what it still says is not worth more time.
_DRAIN_S = 0.5
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
        self._process: asyncio.subprocess.Process | None = None
        self._asked_to_end = False

    async def run(self) -> int:
        """Start it and wait for its end; returns the exit code, negative for a signal."""
        try:
            self._process = process = await self._start()
        except OSError as fault:  # no memory, no descriptors: as if it had died at once
            self.last_line = f"cannot start it: {fault.strerror}"
            self.ready.set()
            return 127
        if self._asked_to_end:
            process.terminate()
        try:
            async with asyncio.TaskGroup() as tasks:
                readers = [
                    tasks.create_task(self._read(process.stdout, self._standard_output)),
                    tasks.create_task(self._read(process.stderr, self._standard_error)),
                ]
                code = await process.wait()
                # Workers of the child must not outlive it: the next one would compete with them.
                self._signal_group(signal.SIGKILL)
                _, late = await asyncio.wait(readers, timeout=_DRAIN_S)
                for reader in late:
                    reader.cancel()
        finally:
            if process.returncode is None:
                self._signal_group(signal.SIGKILL)
            self.ready.set()
        return code

    async def _start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self.program.arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            process_group=0,  # a Ctrl-C at the terminal is for the supervisor alone
            pass_fds=self._inherit,
            preexec_fn=_die_with(os.getpid()),
        )

    def terminate(self) -> None:
        """Ask it to finish what it does and end."""
        self._asked_to_end = True
        if self._process and self._process.returncode is None:
            self._process.terminate()

    def kill(self) -> None:
        if self._process and self._process.returncode is None:
            self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: int) -> None:
        if self._process:
            with suppress(ProcessLookupError, PermissionError):  # the whole group has ended
                os.killpg(self._process.pid, number)

    async def _read(self, stream: asyncio.StreamReader | None, take: Callable[[bytes], None]) -> None:
        assert stream
        lines = LineSplitter()
        while data := await stream.read(1 << 16):
            for line in lines.feed(data):
                take(line)
        for line in lines.finish():
            take(line)

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


def _die_with(parent: int) -> Callable[[], None]:
    """Runs in the child before its program: the kernel kills it when we die, however we die."""

    def prepare() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # we died before the call
            os.kill(os.getpid(), signal.SIGKILL)

    return prepare
