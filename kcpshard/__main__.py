"""`python -m kcpshard`: one shard process. Prints `ready` when it serves; see docs/architecture.md."""

import os

# Before anything imports grpc: its own lines on standard error are neither text nor JSON of ours.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

import asyncio
import gc
import signal
import sys

import uvloop

from kcpshard import process_log
from kcpshard.allocator import keep_large_buffers
from kcpshard.encryption.configuration import ConfigurationError
from kcpshard.encryption.key_services import KeyServiceError
from kcpshard.encryption.sealed_data import SealedWithoutConfiguration
from kcpshard.options import Options, parse
from kcpshard.placement.membership import MayNotServe
from kcpshard.placement.ownership_records import DamagedOwnership
from kcpshard.server import ShardServer
from kcpshard.storage.clock import ClockBehind
from kcpshard.storage.damage import Corrupted
from kcpshard.storage.format import UnusableFormat

_EXPECTED = (
    ConfigurationError,
    KeyServiceError,
    SealedWithoutConfiguration,
    UnusableFormat,
    ClockBehind,
    Corrupted,
    DamagedOwnership,
    MayNotServe,
    OSError,
    ValueError,
)
EXIT_REFUSED = 3  # it could not or must not serve; the sentence is on standard error


async def serve(options: Options) -> None:
    stopping = asyncio.Event()
    _on_signals(stopping)
    async with asyncio.TaskGroup() as tasks:
        server = ShardServer(options, tasks)
        try:
            await server.start()
            # What was made so far lives as long as the process: the collector need not walk it again and again. Few
            # cycles come of requests, and one list makes 500 objects: it need not look after every 700 either.
            gc.collect()
            gc.freeze()
            gc.set_threshold(10_000, 20, 20)
            print("ready", flush=True)
            await stopping.wait()
        finally:
            await server.stop()


def _on_signals(stopping: asyncio.Event) -> None:
    def stop() -> None:
        if stopping.is_set():
            os._exit(1)  # asked twice: at once; nothing acknowledged is lost by it
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


def main() -> int:
    options = parse(sys.argv[1:])
    process_log.configure(options.log_level, options.log_format)
    os.umask(0o077)
    keep_large_buffers()
    try:
        uvloop.run(serve(options))
    except (*_EXPECTED, ExceptionGroup) as error:
        reason = _first(error)
        if not isinstance(reason, _EXPECTED):
            raise
        print(f"kcpshard: {reason}", file=sys.stderr, flush=True)
        return EXIT_REFUSED
    return 0


def _first(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    sys.exit(main())
