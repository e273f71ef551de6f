"""Functions for the tests of the pool; they run in worker processes."""

import os
import signal
import sys
import time

from kcpshard.workers.process import Ask


def echo(payload: bytes, ask: Ask) -> bytes:
    return payload


def pid(payload: bytes, ask: Ask) -> bytes:
    return str(os.getpid()).encode()


def curious(payload: bytes, ask: Ask) -> bytes:
    return ask(b"one") + ask(b"two")


def broken(payload: bytes, ask: Ask) -> bytes:
    raise ValueError("a bug")


def chatty(payload: bytes, ask: Ask) -> bytes:
    print("noise")
    sys.stdout.flush()
    return b"fine"


def suicide(payload: bytes, ask: Ask) -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


def endless(payload: bytes, ask: Ask) -> bytes:
    while True:
        time.sleep(1)


def bomb(payload: bytes, ask: Ask) -> bytes:
    return bytes(8 << 30)
