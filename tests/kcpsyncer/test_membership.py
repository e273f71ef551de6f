"""Two replicas beside each other."""

import asyncio
from typing import Any

from kcpfront.embedding import EmbeddedServer
from kcpsyncer.controller_process import ControllerProcess
from kcpsyncer.imported_apis import GROUP, IMPORTS, NEGOTIATED, VERSION
from kcpsyncer.kube_client import resource_path
from kcpsyncer.kubeconfig import parse
from kcpsyncer.settings import Settings
from tests.contracts.physical import (
    eventually,
    kubeconfig_of,
)

_IMPORTS, _NEGOTIATED = resource_path(GROUP, VERSION, IMPORTS), resource_path(GROUP, VERSION, NEGOTIATED)
Object = dict[str, Any]


async def test_two_replicas_divide_and_take_over(upstream_server: EmbeddedServer) -> None:
    access = parse(kubeconfig_of(upstream_server.create_cluster()))
    paths = tuple(f"divided-{number}" for number in range(8))
    settings = Settings((), False, paths, everywhere=False)
    one, other = (ControllerProcess(access, settings, f"controllers-{name}") for name in ("one", "other"))
    stop_one, stop_other = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(one.run(stop_one))
        tasks.create_task(other.run(stop_other))

        async def divided() -> bool:
            shares = [set(each._running) for each in (one, other)]
            return all(shares) and not shares[0] & shares[1] and shares[0] | shares[1] == set(paths)

        await eventually(divided)
        stop_one.set()

        async def taken_over() -> bool:
            return set(other._running) == set(paths)

        await eventually(taken_over)
        stop_other.set()
