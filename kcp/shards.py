"""`kcp shards`: the shards of a running installation, as the map has them and as they answer, and what they take."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import click

from kcp import installation as installations
from kcp.current_map import current_map, dialler
from kcp.directory_lock import holder_of
from kcp.installation import Installation
from kcp.keeper import ask_keeper
from kcp.output import Refused, Row, output_option, render
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


name_argument = click.argument("name")


@shards.command()
@root_option
@name_argument
def cordon(root: Path, name: str) -> None:
    """Let the shard NAME get nothing more. It keeps what it has."""
    _change(root, name, "cordon")


@shards.command()
@root_option
@name_argument
def uncordon(root: Path, name: str) -> None:
    """Let the shard NAME take its share again; ends a drain too."""
    _change(root, name, "uncordon")


@shards.command()
@root_option
@name_argument
@click.option("--wait/--no-wait", default=True, help="Until nothing is left on it, showing how far it is.")
def drain(root: Path, name: str, wait: bool) -> None:
    """Move all that the shard NAME has to the others, online.

    Logical clusters that are pinned to it are in the way: move them first, or `kcp move PATH --unpin`.
    """
    made = _change(root, name, "drain")
    while wait and (left := asyncio.run(_left(made, name))):
        click.echo(f"{name}: {left}", err=True)
        time.sleep(1)


@shards.command()
@root_option
@name_argument
@click.argument("weight", type=click.IntRange(1, 1000))
def weight(root: Path, name: str, weight: int) -> None:
    """Give the shard NAME that WEIGHT: its share of the slots, compared with the others' [1]."""
    _change(root, name, weight=weight)


@shards.command()
@root_option
@name_argument
def remove(root: Path, name: str) -> None:
    """Take the drained shard NAME out of the installation. Its data directory stays, and may not be used again."""
    made = _change(root, name, "remove")
    for number in made.numbers:
        if f"shard-{number}" == name:
            _tell_supervisor(installations.without(made, number))


@shards.command()
@root_option
def add(root: Path) -> None:
    """Start one more shard on this machine.

    It takes its share of the slots, and what lives in them, while everything is served. Shards on other machines join:
    see `kcp token create --role shard`.
    """
    made = installed(root)
    if not made.internal_listen and holder_of(made.root) == 0:
        raise Refused(f"{made.root} is not running: kcp start --shards {len(made.numbers) + 1}")
    larger = installations.adapt(made, len(made.numbers) + 1, made.internal_listen)
    _tell_supervisor(larger)
    click.echo(f"shard-{larger.numbers[-1]} is being started; kcp shards list shows when it serves")


@shards.command()
@root_option
@output_option
def moves(root: Path, form: str) -> None:
    """List moves of logical clusters: under way, waiting, and how the last ones ended."""
    found = asyncio.run(ask_keeper(installed(root), lambda keeper: keeper.show_moves()))
    click.echo(render(move_rows(json.loads(found)), form), nl=False)


def move_rows(found: dict[str, Any]) -> list[Row]:
    """One row for each move, the newest ends first."""
    rows: list[Row] = []
    if active := found["active"]:
        copied = f"{active['objects']} objects, {active['records']} log records, {active['bytes']} bytes"
        rows.append(_move_row(active["path"], active["to"], active["stage"], active["note"] or copied))
    rows += [_move_row(each["path"], each["to"], "waiting", each["reason"]) for each in found["waiting"]]
    rows += [_move_row(each["path"], each["shard"], each["outcome"], each["note"]) for each in found["ended"][::-1]]
    return rows


def _move_row(path: str, to: str, state: str, note: str) -> Row:
    return {"path": path, "to": to, "state": state, "note": note}


def _change(root: Path, name: str, change: str = "", weight: int = 0) -> Installation:
    from kcpshard.rpc import shard_pb2 as pb

    made = installed(root)
    request = pb.ChangeShardRequest(shard=name, change=change, weight=weight)
    asyncio.run(ask_keeper(made, lambda keeper: keeper.change_shard(request)))
    return made


async def _left(made: Installation, name: str) -> str:
    """What a drained shard still has, in words; empty: nothing."""
    row = next((row for row in await _rows(made) if row["name"] == name), None)
    if row is None or row["state"] == "Drained":
        return ""
    found = json.loads(await ask_keeper(made, lambda keeper: keeper.show_moves()))
    stuck = [end for end in found["ended"] if end["outcome"] == "failed"]
    said = (
        f"{row['slots']} slots, {row['clusters'] if row['clusters'] is not None else 'unknown'} logical clusters left"
    )
    return f"{said}; {stuck[-1]['path']} could not be moved: {stuck[-1]['note']}" if stuck else said


def _tell_supervisor(made: Installation) -> None:
    """It looks at the number of shards again."""
    if holder := holder_of(made.root):
        os.kill(holder, signal.SIGUSR1)


def installed(root: Path) -> Installation:
    """The installation in `root`, which must exist."""
    found = installations.load(root.absolute()) if root.exists() else None
    if found is None:
        raise Refused(f"there is no installation in {root.absolute()}")
    return found


async def _rows(made: Installation) -> list[Row]:
    from kcpshard.placement.shard_rows import shard_rows

    found = await shard_rows(await current_map(made), dialler(made))
    return [{key: None if value == -1 else value for key, value in row._asdict().items()} for row in found]
