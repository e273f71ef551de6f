"""`kcp shards list`: the shards of a running installation, as the map has them and as they answer."""

import asyncio
from pathlib import Path
from typing import Any

import click

from kcp import installation as installations
from kcp.installation import Installation
from kcp.output import Refused, Row, output_option, render
from kcp.programs import shard_socket
from kcp.start import root_option


@click.group()
def shards() -> None:
    """The shards of an installation."""


@shards.command("list")
@root_option
@output_option
def list_shards(root: Path, form: str) -> None:
    """List the shards: slots, logical clusters, objects, state.

    A dash means that a shard did not answer.
    """
    rows = asyncio.run(_rows(installed(root)))
    click.echo(render(rows, form), nl=False)


def installed(root: Path) -> Installation:
    """The installation in `root`, which must exist."""
    found = installations.load(root.absolute()) if root.exists() else None
    if found is None:
        raise Refused(f"there is no installation in {root.absolute()}")
    return found


async def _rows(made: Installation) -> list[Row]:
    from kcpshard.placement.shard_rows import shard_rows
    from kcpshard.rpc import shard_pb2 as pb
    from kcpshard.rpc.placement_client import MapFollower, Unreachable
    from kcpshard.rpc.placement_client import Refused as RefusedByShard
    from kcpshard.rpc.transport import dial, read_tls_directory

    tls = read_tls_directory(str(made.tls_directory("admin"))) if made.internal_listen else None

    def connect(address: str) -> Any:
        return dial(address, tls)

    async def current_map() -> pb.ShardMap:
        """From the first shard of this machine that answers."""
        follower = MapFollower(connect, "kcp")
        for number in range(1, made.shards + 1):
            try:
                async for message in follower.follow(f"unix:{shard_socket(made, number, 'admin')}", 0):
                    return message
            except (Unreachable, RefusedByShard):
                continue
        raise Refused(f"no shard of {made.root} answers: is it running?")

    found = await shard_rows(await current_map(), connect)
    return [{key: None if value == -1 else value for key, value in row._asdict().items()} for row in found]
