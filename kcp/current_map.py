"""The shard map of a running installation, from whichever of its shards on this machine answers."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kcp.installation import Installation
from kcp.output import Refused
from kcp.programs import shard_socket

if TYPE_CHECKING:
    from kcpshard.rpc import shard_pb2 as pb


def dialler(made: Installation) -> Callable[[str], Any]:
    """Address → a channel, as an administrator."""
    from kcpshard.rpc.transport import dial, read_tls_directory

    tls = read_tls_directory(str(made.tls_directory("admin"))) if made.internal_listen else None
    return lambda address: dial(address, tls)


async def current_map(made: Installation) -> "pb.ShardMap":
    """Raises Refused where none answers."""
    from kcpshard.rpc.placement_client import MapFollower, Unreachable
    from kcpshard.rpc.placement_client import Refused as RefusedByShard

    follower = MapFollower(dialler(made), "kcp")
    for number in made.numbers:
        try:
            async for message in follower.follow(f"unix:{shard_socket(made, number, 'admin')}", 0):
                return message
        except (Unreachable, RefusedByShard):
            continue
    raise Refused(f"no shard of {made.root} answers: is it running?")
