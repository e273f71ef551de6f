"""A few worker processes shared by all logical clusters, fairly: the I/O around `turns` and `process`.

A worker is started when there is something to do and none is free, and ends after some idle time, for it holds tens of
megabytes. Jobs wait in fair turns by what their logical cluster has cost; each has a deadline, after which its worker
is killed and the next job gets a new one. Everything a job needs is in its payload, or is asked for while it runs.
"""

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from kcpshard.api.errors import ServiceUnavailable, TooManyRequests
from kcpshard.workers import slices
from kcpshard.workers.process import ANSWER, FAILURE, HEAD, JOB, QUESTION
from kcpshard.workers.turns import FairTurns

_log = logging.getLogger(__name__)

PROCESSES = 2
_QUEUED, _QUEUED_OF_ONE = 256, 32  # jobs; beyond them 429
_QUEUED_BYTES = 128 << 20  # of their payloads
_IDLE_S = 30.0
TIMEOUT_S = 30.0  # of a job, from its first byte
_BUFFER_BYTES = 1 << 20
_START_COST_S = 0.5  # charged to whose job ended a process before its time

Answerer = Callable[[bytes], Awaitable[bytes]]


class JobFailed(Exception):
    """The function raised, a bug; the text is its traceback."""


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    processes: int
    waiting: int
    jobs: int
    seconds: float  # of CPU
    killed: int  # past their deadline, given up by whoever asked, or dead by themselves


class _Broken(Exception):
    """The worker has died."""


class _Worker:
    """One process; one job at a time."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process, self._reader, self._writer = process, reader, writer
        self.idle: asyncio.TimerHandle | None = None

    @classmethod
    async def start(cls) -> "_Worker":
        """By subprocess, which does not copy our page tables for the new process: asyncio's way takes 7 ms."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                reader, writer = await asyncio.open_connection(sock=ours, limit=_BUFFER_BYTES)
            except BaseException:
                ours.close()
                raise
            safe = ("-P",) if sys.flags.safe_path else ()  # no modules from the current directory, as for us
            command = (sys.executable, *safe, "-m", "kcpshard.workers.process", str(os.getpid()))
            channel = theirs.fileno()
            process = subprocess.Popen(command, stdin=channel, stdout=channel)  # noqa: ASYNC220, S603 - a millisecond
        return cls(process, reader, writer)

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    async def do(self, function: str, payload: bytes, answer: Answerer | None) -> tuple[bytes, float]:
        """The result and its CPU seconds. Raises JobFailed, _Broken."""
        try:
            await self._send(JOB, function.encode() + b"\n", payload)
            while True:
                kind, cost_us, data = await self._receive()
                if kind == QUESTION:
                    assert answer is not None, f"{function} asks, and nobody answers"
                    await self._send(ANSWER, await answer(data))
                elif kind == FAILURE:
                    raise JobFailed(data.decode(errors="replace"))
                else:
                    return data, cost_us / 1e6
        except (OSError, EOFError) as error:
            raise _Broken from error

    async def _send(self, kind: bytes, *parts: bytes) -> None:
        stream = self._writer
        stream.write(HEAD.pack(kind, 0, sum(map(len, parts))))
        for part in parts:
            await slices.write(stream, part)

    async def _receive(self) -> tuple[bytes, int, bytes]:
        stream = self._reader
        kind, cost_us, length = HEAD.unpack(await stream.readexactly(HEAD.size))
        return kind, cost_us, await slices.read(stream, length)

    def stop(self) -> None:
        if self.idle is not None:
            self.idle.cancel()
        self._writer.close()
        if self.is_alive:
            self._process.kill()

    def ended(self) -> None:
        """Blocks for the moment that a killed process takes to end."""
        self._process.wait()


class WorkerPool:
    """`run` jobs; `close` ends the processes. Needs no start and has no task of its own."""

    def __init__(self, processes: int = PROCESSES, idle_s: float = _IDLE_S) -> None:
        self._limit, self._idle_s = processes, idle_s
        self._turns: FairTurns[asyncio.Future[None]] = FairTurns(_QUEUED, _QUEUED_OF_ONE)
        self._queued_bytes = 0
        self._busy = 0  # jobs that have a worker, or the right to start one
        self._free: list[_Worker] = []
        self._ending: list[_Worker] = []  # killed and not yet reaped
        self._jobs = self._killed = 0
        self._seconds = 0.0

    async def run(
        self, key: str, function: str, payload: bytes, answer: Answerer | None = None, timeout_s: float = TIMEOUT_S
    ) -> bytes:
        """What `function` ("module:name") makes of `payload`, on the account of `key`, a logical cluster.

        `answer` answers the questions that the function puts while it runs. Raises TooManyRequests if too much waits,
        ServiceUnavailable if the worker died or took longer than `timeout_s`, JobFailed.
        """
        taken = await self._turn(key, len(payload))
        began = asyncio.get_running_loop().time()
        cost = 0.0
        worker: _Worker | None = None
        try:
            async with asyncio.timeout(timeout_s):
                worker = await self._worker()
                result, cost = await worker.do(function, payload, answer)
            self._keep(worker)
            worker = None
            return result
        except TimeoutError:
            raise ServiceUnavailable("the request needs more time than it may take", retry_after_s=30) from None
        except _Broken:
            _log.error("a worker process has died at %s", function)
            raise ServiceUnavailable("the request could not be worked out: try again", retry_after_s=5) from None
        except JobFailed:
            assert worker is not None
            self._keep(worker)
            worker = None
            raise
        finally:
            if worker is not None:  # in the middle of something that nobody waits for any more
                self._kill(worker)
                cost = asyncio.get_running_loop().time() - began + _START_COST_S
            self._jobs += 1
            self._seconds += cost
            self._turns.charge(key, cost, taken)
            self._next()

    async def _turn(self, key: str, size: int) -> bool:
        """Wait until a worker may be used; whether that was in a queue."""
        if self._busy < self._limit:
            self._busy += 1
            return False
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._queued_bytes + size > _QUEUED_BYTES or not self._turns.put(key, turn):
            raise TooManyRequests("too many large requests at the same time, please try again later", retry_after_s=1)
        self._queued_bytes += size
        try:
            await turn
        except asyncio.CancelledError:
            if not self._turns.withdraw(key, turn) and turn.done() and not turn.cancelled():
                self._next()
            raise
        finally:
            self._queued_bytes -= size
        return True

    def _next(self) -> None:
        """Give the right to a worker to whose turn it is."""
        while (found := self._turns.take()) is not None:
            if not found[1].done():
                found[1].set_result(None)
                return
        self._busy -= 1

    async def _worker(self) -> _Worker:
        while self._free:
            worker = self._free.pop()
            if worker.idle is not None:
                worker.idle.cancel()
            if worker.is_alive:
                return worker
            self._kill(worker)
        return await _Worker.start()

    def _keep(self, worker: _Worker) -> None:
        worker.idle = asyncio.get_running_loop().call_later(self._idle_s, self._end_idle, worker)
        self._free.append(worker)

    def _end_idle(self, worker: _Worker) -> None:
        if worker in self._free:
            self._free.remove(worker)
            self._stop(worker)

    def _kill(self, worker: _Worker) -> None:
        self._killed += 1
        self._stop(worker)

    def _stop(self, worker: _Worker) -> None:
        worker.stop()
        self._ending = [w for w in (*self._ending, worker) if w.is_alive]

    async def close(self) -> None:
        """End the free processes and wait for them; one that is at work is ended by whoever waits for its job."""
        free, self._free = self._free, []
        for worker in free:
            worker.stop()
        for worker in [*free, *self._ending]:
            worker.ended()
        self._ending.clear()

    def statistics(self) -> PoolStatistics:
        return PoolStatistics(
            self._busy + len(self._free), len(self._turns), self._jobs, round(self._seconds, 3), self._killed
        )
