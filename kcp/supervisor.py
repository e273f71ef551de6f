"""Keeps the processes of an installation running, and ends them in order.

Programs are started together. One that ends before it was ever ready makes the start fail; afterwards each is started
again whenever it dies. The first SIGTERM or SIGINT stops them stage by stage, each finishing what is in flight; the
second kills them.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from kcp.backoff import Backoff
from kcp.child_process import ChildProcess
from kcp.output import Refused
from kcp.process_logs import mark_line
from kcp.programs import Program, names

# Processes promise to finish within 10 s; one that has not after this is killed.
GRACE_S = 15.0
# How often a start that is slow says what it waits for.
PATIENCE_S = 10.0
# How often `periodically` is called (certificates live for months).
PERIOD_S = 3600.0


class Supervisor:
    """Runs `programs` until told to stop. `inherit` are descriptors that every child holds too. On SIGUSR1 it runs what
    `present` says instead: what is new is started, what is not there any more is stopped."""

    def __init__(
        self,
        programs: Sequence[Program],
        log_form: str = "text",
        inherit: tuple[int, ...] = (),
        present: Callable[[], Sequence[Program]] | None = None,
    ) -> None:
        self._programs = list(programs)
        self._present = present
        self._tasks: asyncio.TaskGroup | None = None
        self._leaving: set[str] = set()  # names of programs that are not wanted any more
        self._log_form = log_form
        self._inherit = inherit
        self._stopping = asyncio.Event()
        self._killing = False
        self._started = False
        self._children: dict[str, ChildProcess] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._first_ready = {program.name: asyncio.Event() for program in programs}

    async def run(self, when_ready: Callable[[], None], periodically: Callable[[], None] = lambda: None) -> None:
        """Returns when everything has been stopped by a signal; raises Refused if the start fails."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGUSR1, self.look_again)
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                for program in self._programs:
                    if not program.late:
                        self._keepers[program.name] = tasks.create_task(self._keep_running(program))
                if await self._wait_until_ready():
                    self._started = True
                    for program in self._programs:
                        if program.late:
                            self._keepers[program.name] = tasks.create_task(self._keep_running(program))
                    when_ready()
                    _tell_service_manager(b"READY=1")
                    await self._serve(periodically)
                await self._stop_in_order()
        except* Refused as failures:
            raise failures.exceptions[0] from None
        finally:
            for child in self._children.values():
                child.kill()

    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def stop(self) -> None:
        """Begin to stop; called again, stop at once."""
        if self._stopping.is_set():
            self._killing = True
            for child in self._children.values():
                child.kill()
        self._stopping.set()

    def look_again(self) -> None:
        """Run what there should be now."""
        if self._present is None or self._tasks is None or self._stopping.is_set() or not self._started:
            return
        try:
            wanted = {program.name: program for program in self._present()}
        except (OSError, Refused) as fault:
            self._say(str(fault))
            return
        known = {program.name for program in self._programs}
        for name in known - wanted.keys():
            self._say(f"{name} is taken out")
            self._leaving.add(name)
            if child := self._children.get(name):
                child.terminate()
        for name in sorted(wanted.keys() - known):
            self._leaving.discard(name)
            self._first_ready[name] = asyncio.Event()
            self._keepers[name] = self._tasks.create_task(self._keep_running(wanted[name]))
        self._programs = [p for p in self._programs if p.name in wanted]
        self._programs += [program for name, program in wanted.items() if name not in known]

    async def _keep_running(self, program: Program) -> None:
        backoff, loop = Backoff(), asyncio.get_running_loop()
        while not self._stopping.is_set() and program.name not in self._leaving:
            began = loop.time()
            child = self._children[program.name] = ChildProcess(program, self._inherit, self._log)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._note_ready(child))
                code = await child.run()
            if self._stopping.is_set() or program.name in self._leaving:
                return
            if not self._started and not child.was_ready:
                raise Refused(await self._failed_start(child, code))
            delay = backoff.delay_after(loop.time() - began)
            self._say(f"{program.name} {_ended(code)}; starting it again{f' in {delay:g} s' if delay else ''}")
            await self._wait_stopping(delay)

    async def _note_ready(self, child: ChildProcess) -> None:
        await child.ready.wait()
        if child.was_ready:
            self._first_ready[child.program.name].set()
            self._say(f"{child.program.name} is ready")

    async def _failed_start(self, child: ChildProcess, code: int) -> str:
        """Stop the others first: a refused start leaves nothing behind."""
        self._stopping.set()
        await self._stop_in_order(but=child.program.name)
        reason = f": {child.last_line}" if child.last_line else ""
        return f"{child.program.name} {_ended(code)} before it was ready{reason}"

    async def _wait_until_ready(self) -> bool:
        """False if told to stop before."""
        while waiting := [p for p in self._programs if not p.late and not self._first_ready[p.name].is_set()]:
            if self._stopping.is_set():
                return False
            if not await self._wait_ready_or_stopping(waiting[0]):
                self._say(f"still waiting for {names(waiting)}")
        return True

    async def _wait_ready_or_stopping(self, program: Program) -> bool:
        async with asyncio.TaskGroup() as tasks:
            waits = [
                tasks.create_task(self._first_ready[program.name].wait()),
                tasks.create_task(self._stopping.wait()),
            ]
            done, late = await asyncio.wait(waits, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
            for task in late:
                task.cancel()
        return bool(done)

    async def _serve(self, periodically: Callable[[], None]) -> None:
        while not await self._wait_stopping(PERIOD_S):
            try:
                await asyncio.to_thread(periodically)  # files, and once in months a call
            except (OSError, Refused) as fault:  # a full disk now must not end what serves
                self._say(str(fault))

    async def _stop_in_order(self, but: str = "") -> None:
        _tell_service_manager(b"STOPPING=1")
        for stage in sorted({program.stage for program in self._programs}):
            members = [p.name for p in self._programs if p.stage == stage and p.name != but]
            for name in members:
                if child := self._children.get(name):
                    child.kill() if self._killing else child.terminate()
            members = [name for name in members if name in self._keepers]  # a late one may not have been started
            keepers = [self._keepers[name] for name in members]
            if not keepers:
                continue
            _, late = await asyncio.wait(keepers, timeout=GRACE_S)
            for name in [name for name in members if self._keepers[name] in late]:
                self._say(f"{name} did not end in {GRACE_S:g} s: killed")
                self._children[name].kill()
            await asyncio.wait(keepers)

    async def _wait_stopping(self, seconds: float) -> bool:
        """True as soon as stopping has begun, False after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True

    def _log(self, process: str, line: bytes) -> None:
        sys.stderr.buffer.write(mark_line(process, line, self._log_form))
        sys.stderr.buffer.flush()

    def _say(self, text: str) -> None:
        self._log("kcp", text.encode())


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _tell_service_manager(message: bytes) -> None:
    """systemd's notification protocol (sd_notify); without it there is nobody to tell."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # Readiness is not worth failing for.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.sendto(message, f"\0{address[1:]}" if address.startswith("@") else address)
