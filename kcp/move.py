"""`kcp move`: bring a logical cluster to another shard, while it is used."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import click

from kcp.installation import Installation
from kcp.keeper import ask_keeper
from kcp.output import Refused
from kcp.shards import installed
from kcp.start import root_option

_LOOK_S = 0.2


@click.command()
@root_option
@click.argument("path")
@click.option(
    "--to", "shard", default="", metavar="SHARD", help="The shard that takes it, as `kcp shards list` names it."
)
@click.option("--children", is_flag=True, help="And every logical cluster below it.")
@click.option("--pin", is_flag=True, help="Keep it there: neither rebalancing nor a drain moves it.")
@click.option("--unpin", is_flag=True, help="Let rebalancing and drains move it again.")
@click.option("--cancel", is_flag=True, help="Stop its move, if it has not been handed over yet.")
@click.option("--wait/--no-wait", default=True, help="Until it is there, showing how far it is.")
def move(root: Path, path: str, shard: str, children: bool, pin: bool, unpin: bool, cancel: bool, wait: bool) -> None:
    """Move the logical cluster PATH (root:team-a) to another shard with all it has.

    Its clients notice nothing but a pause of some milliseconds: watches go on, resourceVersions stay valid.
    """
    from kcpshard.rpc import shard_pb2 as pb

    if sum((bool(shard), unpin, cancel)) != 1:
        raise Refused("say one of --to SHARD, --unpin and --cancel")
    made = installed(root)
    request = pb.MoveClustersRequest(cluster=path, children=children, shard=shard, pin=pin, cancel=cancel, unpin=unpin)
    answer = json.loads(asyncio.run(ask_keeper(made, lambda keeper: keeper.move_clusters(request))))
    paths = answer["paths"]
    if not shard:
        click.echo(f"{', '.join(paths)}: {'cancelled' if cancel else 'not pinned'}")
    elif wait:
        _watch(made, set(paths), answer["before"])
    else:
        click.echo(f"{len(paths)} to be moved to {shard}; kcp shards moves shows how far it is")


def _watch(made: Installation, waiting: set[str], before: int) -> None:
    """Until all have ended. Raises Refused if one has failed."""
    failed, shown = list[str](), ""
    while waiting:
        found = json.loads(asyncio.run(ask_keeper(made, lambda keeper: keeper.show_moves())))
        if found["last"] < before:
            before = 0  # another process keeps the map now, and counts from the beginning
        for path, outcome, note in ended(found, waiting, before):
            waiting.discard(path)
            click.echo(f"{path}: {outcome}{f', {note}' if note else ''}")
            if outcome == "failed":
                failed.append(path)
        if (line := progress(found, waiting)) and line != shown:
            shown = line
            click.echo(line, err=True)
        if waiting:
            time.sleep(_LOOK_S)
    if failed:
        raise Refused(f"{len(failed)} could not be moved: {', '.join(failed)}")


def ended(found: dict[str, Any], waiting: set[str], before: int) -> list[tuple[str, str, str]]:
    """Path, outcome and note of those that wait no more. What nobody remembers has gone on without us and is over."""
    over = {e["path"]: (e["path"], e["outcome"], e["note"]) for e in found["ended"] if e["number"] > before}
    listed = {each["path"] for each in found["waiting"]}
    if found["active"]:
        listed.add(found["active"]["path"])
    return [over.get(path, (path, "over", "")) for path in sorted(waiting) if path not in listed]


def progress(found: dict[str, Any], waiting: set[str]) -> str:
    """The move under way, in a line; empty if it is not one of ours."""
    active = found["active"]
    if not active or active["path"] not in waiting:
        return ""
    copied = f"{active['objects']} objects, {active['records']} log records, {active['bytes'] / 1e6:.1f} MB"
    note = f" ({active['note']})" if active["note"] else ""
    return f"{active['path']}: {active['stage']}: {copied}{note}"
