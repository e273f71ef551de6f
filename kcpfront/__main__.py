"""`python -m kcpfront`: one front process. Prints `ready` when it serves; see docs/architecture.md."""

import os

# Before anything imports grpc: its own lines on standard error are neither text nor JSON of ours.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import uvloop

from kcpfront.allocator import map_large_buffers
from kcpfront.audit.log_file import Rotation
from kcpfront.audit.trail import BATCH, MODES, AuditError, AuditOptions
from kcpfront.authentication.arguments import add_arguments, read_arguments
from kcpfront.credential_files import CredentialError
from kcpfront.listener import ListenError, raise_descriptor_limit
from kcpfront.process import FrontProcess, Options
from kcpfront.settings import Settings
from kcpshard import process_log

EXIT_REFUSED = 3  # it could not serve; the sentence is on standard error
_EXPECTED = (AuditError, CredentialError, ListenError, OSError)


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m kcpfront", description="Serve the Kubernetes API over HTTPS.")
    parser.add_argument("--listen", default="127.0.0.1:6443", help="HOST:PORT; port 0 takes a free one (%(default)s)")
    parser.add_argument("--reuse-port", action="store_true", help="share the port with other fronts on this machine")
    parser.add_argument(
        "--pki", type=Path, required=True, help="directory with serving.crt, serving.key, client-ca.crt"
    )
    parser.add_argument("--token-file", type=Path, help='token,user,uid,"group,group" per line')
    parser.add_argument("--shard", action="append", default=[], required=True, help="any one leads to the others")
    parser.add_argument("--tls-directory", type=Path, help="ca.crt, tls.crt, tls.key for talking to shards")
    parser.add_argument("--name", default="front-1", help="how this front calls itself (%(default)s)")
    add_arguments(parser)
    _add_audit_options(parser)
    parser.add_argument("--log-level", choices=["debug", "info", "warning", "error"], default="info")
    parser.add_argument("--log-format", choices=["text", "json"], default="text")
    return parser.parse_args(arguments)


def _add_audit_options(parser: argparse.ArgumentParser) -> None:
    """As kube-apiserver's."""
    group = parser.add_argument_group("audit records")
    group.add_argument("--audit-policy-file", default="", metavar="FILE", help="what is recorded; without: nothing")
    group.add_argument("--audit-log-path", default="", metavar="FILE", help='records as JSON lines; "-": to stdout')
    group.add_argument("--audit-log-maxage", type=int, default=0, metavar="DAYS", help="of full files; 0: for ever")
    group.add_argument("--audit-log-maxbackup", type=int, default=0, metavar="N", help="full files kept; 0: all")
    group.add_argument("--audit-log-maxsize", type=int, default=100, metavar="MB", help="of a file (%(default)s)")
    group.add_argument(
        "--audit-log-mode",
        choices=MODES,
        default=BATCH,
        help="blocking: a request goes on when its arrival is on file; -strict: and fails if it cannot be",
    )
    group.add_argument("--audit-webhook-config-file", default="", metavar="FILE", help="kubeconfig: whom to send them")
    group.add_argument(
        "--audit-webhook-initial-backoff", type=float, default=10.0, metavar="S", help="before the first repeat"
    )
    group.add_argument(
        "--audit-webhook-batch-max-wait", type=float, default=1.0, metavar="S", help="for a batch to fill"
    )


def _audit_options(found: argparse.Namespace) -> AuditOptions:
    return AuditOptions(
        found.audit_policy_file,
        found.audit_log_path,
        Rotation(found.audit_log_maxsize, found.audit_log_maxbackup, found.audit_log_maxage),
        found.audit_log_mode,
        found.audit_webhook_config_file,
        found.audit_webhook_initial_backoff,
        found.audit_webhook_batch_max_wait,
    )


def _options(found: argparse.Namespace) -> Options:
    host, _, port = found.listen.rpartition(":")
    if not port.isdigit():
        raise ListenError(f"cannot listen on {found.listen}: it is not HOST:PORT")
    return Options(
        host.strip("[]"),
        int(port),
        found.reuse_port,
        found.pki,
        found.token_file,
        found.shard,
        found.tls_directory,
        found.name,
        read_arguments(found),
        _audit_options(found),
    )


async def serve(options: Options) -> None:
    stop = asyncio.Event()
    _on_signals(stop)
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    ready.add_done_callback(lambda _: print("ready", flush=True))
    await FrontProcess(options, Settings()).run(stop, ready)


def _on_signals(stop: asyncio.Event) -> None:
    def asked() -> None:
        if stop.is_set():
            os._exit(1)  # asked twice: at once
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked)


def main() -> int:
    found = parse(sys.argv[1:])
    process_log.configure(found.log_level, found.log_format)
    raise_descriptor_limit()
    map_large_buffers()
    try:
        uvloop.run(serve(_options(found)))
    except _EXPECTED as error:
        print(f"kcpfront: {error}", file=sys.stderr, flush=True)
        return EXIT_REFUSED
    except BaseExceptionGroup as group:
        expected, rest = group.split(_EXPECTED)
        if expected is None or rest is not None:
            raise
        print(f"kcpfront: {_first(expected)}", file=sys.stderr, flush=True)
        return EXIT_REFUSED
    return 0


def _first(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


if __name__ == "__main__":
    sys.exit(main())
