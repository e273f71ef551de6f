"""`kcp token create`: the one line to run on another machine so that it joins this installation."""

import shlex
from datetime import timedelta
from pathlib import Path

import click

from kcp.output import Refused, os_sentence
from kcp.shards import installed
from kcp.start import root_option


@click.group()
def token() -> None:
    """Tokens with which processes on other machines join."""


@token.command()
@click.option("--role", type=click.Choice(["shard", "front"]), required=True, help="What may join with it.")
@click.option("--hours", type=click.IntRange(1, 24 * 30), default=24, show_default=True, help="How long it is valid.")
@click.option("--reusable", is_flag=True, help="For many processes; otherwise the first one uses it up.")
@root_option
def create(role: str, hours: int, reusable: bool, root: Path) -> None:
    """Make a join token and print the whole command for the other machine.

    The token is shown now or never: only its hash is kept.
    """
    from kcp import certificates
    from kcpshard.bootstrap.token_file import DamagedTokenFile, TokenFile

    made = installed(root)
    if not made.internal_listen:
        raise Refused("nobody can join: start kcp with --internal-listen HOST:PORT first")
    authority = certificates.fingerprint((made.pki / "internal-ca.crt").read_bytes())
    tokens = TokenFile(made.pki / "join-tokens")
    try:
        text = tokens.create(authority, (role,), certificates.now_utc(), timedelta(hours=hours), reusable=reusable)
    except DamagedTokenFile as fault:
        raise Refused(str(fault)) from None
    except OSError as fault:
        raise Refused(os_sentence("cannot write", fault)) from None
    listen = "HOST:PORT" if role == "shard" else "0.0.0.0:6443"
    command = ["kcp", role, "--join", text, "--server", made.internal_listen, "--listen", listen]
    click.echo(shlex.join(command))
