"""Asks the shard of this machine that keeps the shard map, which the first shard of an installation does."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

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
    from kcpshard.rpc.transport import dial

    for number in made.numbers:
        client = PlacementClient(dial(f"unix:{shard_socket(made, number, 'admin')}", None))
        try:
            return await ask(client)
        except (NotKeeper, Unreachable):
            continue
        except RefusedByShard as refusal:
            raise Refused(str(refusal)) from refusal
        finally:
            await client.close()
    return None
