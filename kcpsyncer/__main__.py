"""`python -m kcpsyncer controllers`: the multi-cluster controllers. Prints `ready` when it works."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from kcpshard import process_log
from kcpsyncer.controller_process import ControllerProcess
from kcpsyncer.kubeconfig import Unusable, parse
from kcpsyncer.settings import Settings

EXIT_REFUSED = 3  # it could not begin; the sentence is on standard error


def arguments(given: list[str]) -> argparse.Namespace:
    default = Settings()
    parser = argparse.ArgumentParser(prog="python -m kcpsyncer", description="Carry workloads to physical clusters.")
    commands = parser.add_subparsers(dest="command", required=True)
    controllers = commands.add_parser("controllers", help="register clusters, negotiate their APIs")
    controllers.add_argument("--kubeconfig", type=Path, required=True, help="how the fronts are reached")
    controllers.add_argument("--resources-to-sync", nargs="*", default=default.resources, metavar="RESOURCE[.GROUP]")
    controllers.add_argument("--auto-publish-apis", action="store_true", help="offer negotiated APIs at once")
    controllers.add_argument("--logical-clusters", nargs="*", default=default.logical_clusters, metavar="PATH")
    controllers.add_argument("--log-level", choices=["debug", "info", "warning", "error"], default="info")
    controllers.add_argument("--log-format", choices=["text", "json"], default="text")
    return parser.parse_args(given)


def main() -> int:
    found = arguments(sys.argv[1:])
    process_log.configure(found.log_level, found.log_format)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    try:
        access = parse(found.kubeconfig.read_text())
    except (OSError, Unusable) as fault:
        print(f"kcpsyncer: {found.kubeconfig}: {fault}", file=sys.stderr, flush=True)
        return EXIT_REFUSED
    settings = Settings(tuple(found.resources_to_sync), found.auto_publish_apis, tuple(found.logical_clusters))
    asyncio.run(_serve(ControllerProcess(access, settings)))
    return 0


async def _serve(process: ControllerProcess) -> None:
    stop = asyncio.Event()

    def asked() -> None:
        if stop.is_set():
            os._exit(1)  # asked twice: at once
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked)
    await process.run(stop, lambda: print("ready", flush=True))


if __name__ == "__main__":
    sys.exit(main())
