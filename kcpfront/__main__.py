"""`python -m kcpfront`: one front process. See docs/architecture.md, "Processes and files"."""

import os

# Before anything imports grpc: its own lines on standard error are neither text nor JSON of ours.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

import asyncio
import logging
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import uvloop

from kcpshard import process_log
from kcpfront.credential_files import CredentialError
from kcpfront.listener import ListenError, raise_descriptor_limit
from kcpfront.routing.map_feed import MapFeed
from kcpfront.routing.router import Router
from kcpfront.server import Front, credential_files
from kcpfront.shard_channels import ShardChannels
from kcpshard.rpc.placement_client import MapFollower
from kcpshard.rpc.transport import TlsFiles, read_tls_directory

EXIT_REFUSED = 3  # it could not serve; the sentence is on standard error


@dataclass(frozen=True)
class Arguments:
    host: str
    port: int
    reuse_port: bool
    pki: Path
    token_file: Path | None
    shards: tuple[str, ...]
    tls: TlsFiles | None
    name: str


async def serve(arguments: Arguments) -> None:
    stopping = asyncio.Event()
    _on_signals(stopping)
    channels = ShardChannels(arguments.name, arguments.tls)
    router = Router(channels)
    channels.on_moved = router.watch_moved
    follower = MapFollower(channels.dial, arguments.name)
    feed = MapFeed(arguments.shards, follower.follow, router.adopt)
    files = credential_files(str(arguments.pki), str(arguments.token_file) if arguments.token_file else None)
    front = Front(router, router, files, map_check=lambda: "" if router.epoch else "no shard has told its map yet")
    async with asyncio.TaskGroup() as tasks:
        background = [tasks.create_task(channels.run()), tasks.create_task(feed.run())]
        try:
            await feed.wait_for_map()
            await front.start(arguments.host, arguments.port, arguments.reuse_port)
            print("ready", flush=True)
            await front.run(stopping)
        finally:
            for task in background:
                task.cancel()


def _on_signals(stopping: asyncio.Event) -> None:
    def stop() -> None:
        if stopping.is_set():
            os._exit(1)  # asked twice: at once
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


def _split(listen: str) -> tuple[str, int]:
    host, found, port = listen.rpartition(":")
    if not found or not port.isdigit():
        raise click.BadParameter(f"{listen!r} is not HOST:PORT", param_hint="--listen")
    return host.strip("[]"), int(port)


@click.command()
@click.option("--listen", default="127.0.0.1:6443", show_default=True, help="HOST:PORT; port 0 takes a free one.")
@click.option("--reuse-port", is_flag=True, help="Share the port with other fronts on this machine.")
@click.option(
    "--pki", type=click.Path(path_type=Path), required=True, help="Has serving.crt, serving.key, client-ca.crt."
)
@click.option("--token-file", type=click.Path(path_type=Path), help="kube-apiserver's static token file.")
@click.option(
    "--shard", "shards", multiple=True, required=True, help="Address of a shard; any one leads to the others."
)
@click.option(
    "--tls-directory", type=click.Path(path_type=Path), help="ca.crt, tls.crt, tls.key for talking to shards."
)
@click.option("--name", default="front-1", show_default=True)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text")
def main(
    listen: str,
    reuse_port: bool,
    pki: Path,
    token_file: Path | None,
    shards: tuple[str, ...],
    tls_directory: Path | None,
    name: str,
    log_level: str,
    log_format: str,
) -> None:
    """Serve the Kubernetes API over HTTPS for the logical clusters of a kcp installation."""
    process_log.configure(log_level, log_format)
    os.umask(0o077)
    raise_descriptor_limit()
    try:
        tls = read_tls_directory(str(tls_directory)) if tls_directory else None
        uvloop.run(serve(Arguments(*_split(listen), reuse_port, pki, token_file, shards, tls, name)))
    except (CredentialError, ListenError, OSError, ExceptionGroup) as error:
        reason = _first(error)
        if not isinstance(reason, CredentialError | ListenError | OSError):
            raise
        print(f"kcpfront: {reason}", file=sys.stderr, flush=True)
        sys.exit(EXIT_REFUSED)
    logging.shutdown()


def _first(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    main()
