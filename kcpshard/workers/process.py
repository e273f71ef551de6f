"""The program of a worker process: functions asked for by name, one after the other, until its input ends.

Messages on standard input and output are a head (`HEAD`: kind, cost in microseconds, length) and that many bytes. A job
names a function `module:name` of ours; it gets the payload and `ask`, by which it may put questions to whoever gave it
the job, and returns bytes. What a function may raise it has to put into its result: an exception is a bug, told as
such. The process dies with its parent, whatever kills that, and keeps nothing open that is not its own.
"""

import ctypes
import os
import resource
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import BinaryIO

Ask = Callable[[bytes], bytes]
Function = Callable[[bytes, Ask], bytes]

HEAD = struct.Struct("<cQQ")  # kind, CPU microseconds, length of what follows
JOB, ANSWER = b"J", b"A"  # to the worker; a job is its function's name, a line end, its payload
RESULT, QUESTION, FAILURE = b"R", b"Q", b"F"  # from it
_NICE = 5  # nobody's get should wait for a document
# A body of 3 MB makes 300 MB of objects at worst. More is a bomb, and ends the job instead of the machine.
_MEMORY_BYTES = 3 << 30
_PR_SET_PDEATHSIG = 1


def main(parent: int) -> None:
    _settle(parent)
    source, target = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anything prints belongs into the log, not among the answers
    while (message := _read(source)) is not None:
        name, _, payload = message[1].partition(b"\n")
        began = time.process_time()
        try:
            kind, result = RESULT, _function(name.decode())(payload, lambda q: _ask(source, target, q))
        except Exception:  # noqa: BLE001 - told to the parent, which logs it whole
            kind, result = FAILURE, traceback.format_exc().encode(errors="replace")
        del payload, message
        _write(target, kind, result, time.process_time() - began)


def _settle(parent: int) -> None:
    os.nice(_NICE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: our parent decides when we end
    die_with_parent()
    if os.getppid() != parent:
        sys.exit(0)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def die_with_parent() -> None:
    """From here on; who may have lost it already looks for it afterwards."""
    with suppress(AttributeError, OSError):  # not Linux: the end of standard input tells, once nothing runs
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _function(name: str) -> Function:
    module, _, function = name.partition(":")
    found: Function = getattr(import_module(module), function)
    return found


def _ask(source: BinaryIO, target: BinaryIO, question: bytes) -> bytes:
    _write(target, QUESTION, question, 0.0)
    message = _read(source)
    if message is None:
        sys.exit(0)
    return message[1]


def _read(source: BinaryIO) -> tuple[bytes, bytes] | None:
    head = source.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    kind, _, length = HEAD.unpack(head)
    return kind, source.read(length)


def _write(target: BinaryIO, kind: bytes, data: bytes, cpu_s: float) -> None:
    target.write(HEAD.pack(kind, int(cpu_s * 1e6), len(data)))
    target.write(data)
    target.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
