"""Asks the shard that keeps the shard map: one of this machine, or, where the role has gone to another, that one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from kcp.current_map import current_map, dialler
from kcp.installation import Installation
from kcp.output import Refused
from kcp.programs import shard_socket

if TYPE_CHECKING:
    from kcpshard.rpc.placement_client import PlacementClient

Answer = TypeVar("Answer")
PATIENCE_S = 10.0  # it may be starting again just now
_PAUSE_S = 0.2


async def ask_keeper(made: Installation, ask: "Callable[[PlacementClient], Awaitable[Answer]]") -> Answer:
    """What it answers. Raises Refused with its sentence, or if it is not there."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while True:
        found = await _ask_all(made, ask)
        if found is not None:
            return found
        if asyncio.get_running_loop().time() > deadline:
            raise Refused(f"the shard of {made.root} that keeps the map does not answer: is it running?")
        await asyncio.sleep(_PAUSE_S)


async def _ask_all(made: Installation, ask: "Callable[[PlacementClient], Awaitable[Answer]]") -> Answer | None:
    from kcpshard.rpc.placement_client import NotKeeper, PlacementClient, Unreachable
    from kcpshard.rpc.placement_client import Refused as RefusedByShard

    dial = dialler(made)
    for number in (*made.numbers, 0):
        address = f"unix:{shard_socket(made, number, 'admin')}" if number else await _elsewhere(made)
        if not address:
            continue
        try:
            client = PlacementClient(dial(address))
        except ValueError:  # this machine has no credentials for it
            continue
        try:
            return await ask(client)
        except (NotKeeper, Unreachable):
            continue
        except RefusedByShard as refusal:
            raise Refused(str(refusal)) from refusal
        finally:
            await client.close()
    return None


async def _elsewhere(made: Installation) -> str:
    """Where the map says that it is kept; empty: nobody can tell, or it is one of ours that did not answer just now."""
    from kcpshard.placement.shard_map import KEEPER_CLUSTER, entry_of, owner_of

    try:
        found = await current_map(made)
    except Refused:
        return ""
    number = owner_of(found, KEEPER_CLUSTER)
    entry = None if number in made.numbers else entry_of(found, number)
    return entry.admin_address if entry else ""
