"""`kcp version`."""

import platform
from importlib.metadata import version as installed_version

import click

from kcp.output import output_option, render


@click.command()
@output_option
def version(form: str) -> None:
    """Print the version of kcp and of what it runs on."""
    row = {"kcp": installed_version("kcp-python"), "python": platform.python_version()}
    if form == "table":
        click.echo(f"kcp {row['kcp']} (Python {row['python']})")
    else:
        click.echo(render([row], form), nl=False)
