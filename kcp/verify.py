"""`kcp shard verify`: re-reads the data of a stopped shard and lists what is wrong with it."""

import fcntl
from pathlib import Path

import click

from kcp.output import Refused, output_option, render


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@output_option
def verify(directory: Path, form: str) -> None:
    """Check DIRECTORY, the data of a stopped shard (.kcp/shard-1/data).

    Lists every violated invariant by name; the exit code is 0 only if there is none. Changes nothing.
    """
    from kcpshard.storage.verification import verify as violations_in

    _check_stopped(directory.absolute())
    violations = [{"violation": each.name, "detail": each.detail} for each in violations_in(str(directory))]
    if violations or form != "table":
        click.echo(render(violations, form), nl=False)
    if violations:
        raise Refused(f"{directory} has {len(violations)} violation{'s' if len(violations) > 1 else ''}")
    if form == "table":
        click.echo(f"{directory}: no violations")


def _check_stopped(directory: Path) -> None:
    """A data directory lies two levels below the one whose supervisor locks it; a copy elsewhere has no lock."""
    lock = directory.parent.parent / "lock"
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return
    except BlockingIOError:
        raise Refused(f"{directory} is in use: stop kcp first, or verify a copy") from None
