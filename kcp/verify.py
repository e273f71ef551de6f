"""`kcp shard verify`: re-reads the data of a stopped shard and lists what is wrong with it."""

import fcntl
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kcp.output import Refused, output_option, render

if TYPE_CHECKING:
    from kcpshard.storage.contract import KeyValueEngine


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--encryption-provider-config",
    "encryption",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Needed where data is sealed.",
)
@output_option
def verify(directory: Path, encryption: Path | None, form: str) -> None:
    """Check DIRECTORY, the data of a stopped shard (.kcp/shard-1/data).

    Lists every violated invariant by name; the exit code is 0 only if there is none. Changes nothing.
    """
    from kcpshard.storage.verification import verify as violations_in

    _check_stopped(directory.absolute())
    found = violations_in(str(directory), partial(opened, encryption=encryption))
    violations = [{"violation": each.name, "detail": each.detail} for each in found]
    if violations or form != "table":
        click.echo(render(violations, form), nl=False)
    if violations:
        raise Refused(f"{directory} has {len(violations)} violation{'s' if len(violations) > 1 else ''}")
    if form == "table":
        click.echo(f"{directory}: no violations")


def opened(engine: "KeyValueEngine", encryption: Path | None) -> "KeyValueEngine":
    """The engine with sealed values in the clear. Makes no data key: the directory is only read."""
    from kcpshard.encryption import configuration
    from kcpshard.encryption.data_keys import DataKeyRing
    from kcpshard.encryption.key_services import KeyServiceError
    from kcpshard.encryption.sealed_data import SealedWithoutConfiguration, open_sealed
    from kcpshard.storage.sealed_engine import SealedEngine

    try:
        if encryption is None:
            open_sealed(engine, "", 0, 0)
            return engine
        ring = DataKeyRing(configuration.read(encryption))
        ring.load(engine)
    except (configuration.ConfigurationError, KeyServiceError, SealedWithoutConfiguration) as error:
        raise Refused(str(error)) from error
    return SealedEngine(engine, ring)


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
