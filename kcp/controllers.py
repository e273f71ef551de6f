"""`kcp controllers`: further replicas of the multi-cluster controllers, which `kcp start` runs one of."""

import os

import click

from kcp.programs import PYTHON


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    add_help_option=False,
)
@click.pass_context
def controllers(context: click.Context) -> None:
    """Register physical clusters, negotiate their APIs, place workloads. Options: see --help."""
    os.execv(PYTHON[0], [*PYTHON, "kcpsyncer", "controllers", *context.args])  # noqa: S606 - it becomes that process
