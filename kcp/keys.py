"""`kcp keys rotate`: a new key for tokens or certificates; the old one's stay good."""

import asyncio
from pathlib import Path

import click

from kcp.installation import Installation
from kcp.output import Refused
from kcp.programs import shard_socket
from kcp.shards import installed
from kcp.start import root_option

PURPOSES = ("tokens", "certificates", "front-proxy")


@click.group()
def keys() -> None:
    """What tokens and certificates of logical clusters are signed with."""


@keys.command("rotate")
@root_option
@click.argument("purpose", type=click.Choice(PURPOSES), default="tokens")
def rotate(root: Path, purpose: str) -> None:
    """Make a new key for PURPOSE [tokens].

    It signs once every shard and front knows it, some ten seconds later. To revoke what an older key has signed, delete
    its Secret in the logical cluster system:keys.
    """
    made = asyncio.run(_rotate(installed(root), purpose))
    click.echo(f"the new key for {purpose} is {made}")


async def _rotate(made: Installation, purpose: str) -> str:
    """Its id. Only one shard keeps the keys: the others say so."""
    from kcpshard.rpc.placement_client import NotKeeper, PlacementClient, Unreachable
    from kcpshard.rpc.placement_client import Refused as RefusedByShard
    from kcpshard.rpc.transport import dial

    for number in range(1, made.shards + 1):
        client = PlacementClient(dial(f"unix:{shard_socket(made, number, 'admin')}", None))
        try:
            return await client.rotate_keys(purpose)
        except (NotKeeper, Unreachable):
            continue
        except RefusedByShard as refusal:
            raise Refused(f"no new key: {refusal}") from refusal
        finally:
            await client.close()
    raise Refused(f"the shard of {made.root} that keeps the keys does not answer: is it running?")
