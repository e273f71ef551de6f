"""`python -m kcpsyncer controllers`, the multi-cluster controllers, and `… agent`, in a physical cluster. Print `ready`
when they work."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from kcpshard import process_log
from kcpsyncer.agent import Registered
from kcpsyncer.agent_process import AgentProcess, in_cluster_access
from kcpsyncer.controller_process import ControllerProcess
from kcpsyncer.join_manifest import NAMESPACE
from kcpsyncer.kubeconfig import Access, Unusable, parse
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
    controllers.add_argument("--sync", action="append", default=[], metavar="ADDRESS", help="of shards, for agents")
    controllers.add_argument("--sync-authority", type=Path, metavar="FILE", help="whom agents elsewhere know shards by")
    agent = commands.add_parser("agent", help="serve one physical cluster from within, by calling the fronts")
    agent.add_argument("--kubeconfig", type=Path, required=True, help="of the logical cluster, with a bootstrap token")
    agent.add_argument("--logical-cluster", required=True, metavar="PATH", help="where the Cluster is registered")
    agent.add_argument("--cluster", required=True, metavar="NAME")
    agent.add_argument("--uid", required=True, help="of the Cluster")
    agent.add_argument("--resource", action="append", default=[], metavar="RESOURCE[.GROUP]")
    where = agent.add_mutually_exclusive_group(required=True)
    where.add_argument("--in-cluster", action="store_true", help="we are a pod of the physical cluster")
    where.add_argument("--physical-kubeconfig", type=Path, help="how the physical cluster is reached otherwise")
    for command in (controllers, agent):
        command.add_argument("--log-level", choices=["debug", "info", "warning", "error"], default="info")
        command.add_argument("--log-format", choices=["text", "json"], default="text")
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
    if found.command == "agent":
        asyncio.run(_serve(_agent(found, access).run))
        return 0
    authority = found.sync_authority.read_text() if found.sync_authority else ""
    settings = Settings(
        tuple(found.resources_to_sync),
        found.auto_publish_apis,
        tuple(found.logical_clusters),
        sync=tuple(found.sync),
        sync_authority=authority,
    )
    asyncio.run(_serve(ControllerProcess(access, settings).run))
    return 0


def _agent(found: argparse.Namespace, access: Access) -> AgentProcess:
    def physical() -> Access:
        return in_cluster_access() if found.in_cluster else parse(found.physical_kubeconfig.read_text())

    registered = Registered(found.logical_cluster, found.cluster, found.uid)
    secret = (NAMESPACE, f"kcp-agent-{found.cluster}")
    return AgentProcess(registered, access, physical, found.resource, secret)


async def _serve(run: Callable[[asyncio.Event, Callable[[], None]], Awaitable[None]]) -> None:
    stop = asyncio.Event()

    def asked() -> None:
        if stop.is_set():
            os._exit(1)  # asked twice: at once
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked)
    await run(stop, lambda: print("ready", flush=True))


if __name__ == "__main__":
    sys.exit(main())
