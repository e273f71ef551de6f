"""`kcp ws`: move through the tree of workspaces, look at it, make and delete them.

Everything is asked of the server as the kubeconfig's user; only what is current is kept here (`workspace_contexts`).
"""

import os
import shlex
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from kcp import cluster_access, workspace_contexts
from kcp.cluster_access import ApiFailure, ClusterAccess, Object
from kcp.output import Refused, Row, os_sentence, output_option, render
from kcp.workspace_contexts import Kubeconfig
from kcp.workspace_paths import NotAPath, resolve, split_last, split_server

WORKSPACES = "/apis/tenancy.kcp.io/v1alpha1/workspaces"
_MAX_DEPTH = 32
_POLL_S = 0.1
_SCRIPT = '#!/bin/sh\nexec {python} -m kcp ws "$@"\n'


class _ByPath(click.Group):
    """Whatever is no command is a path to go to."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            args = ["use", *args]
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args[:1] == ["-"]:  # an option without a name, to click
            args = ["use", "--", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ByPath, invoke_without_command=True, no_args_is_help=False)
@click.pass_context
def ws(context: click.Context) -> None:
    """Workspaces. `kcp ws PATH` goes there: `team`, `..`, `..:other`, `:root:org`, `-` for where one was before,
    `.` for where one is. Without anything: the workspaces below the current one.

    What is current belongs to the kubeconfig. To have one of this terminal's own: eval "$(kcp ws shell)"
    """
    if context.invoked_subcommand is None:
        context.invoke(list_workspaces)


@ws.command("use", hidden=True)
@click.argument("path")
@cluster_access.kubeconfig_option
def use(path: str, kubeconfig: str | None) -> None:
    config = workspace_contexts.load(kubeconfig)
    if path == "-":
        _go_back(config)
        return
    wanted = _resolved(config, path)
    if path != ".":
        _check_entrance(_access(kubeconfig, wanted), wanted)
        _enter(config, wanted)
    click.echo(f"Current workspace is '{wanted}'.")


@ws.command()
@click.option("--short", is_flag=True, help="The path alone.")
@cluster_access.kubeconfig_option
def current(short: bool, kubeconfig: str | None) -> None:
    """Say which workspace is current."""
    path = _current(workspace_contexts.load(kubeconfig))
    click.echo(path if short else f"Current workspace is '{path}'.")


@ws.command("list")
@output_option
@cluster_access.kubeconfig_option
def list_workspaces(form: str = "table", kubeconfig: str | None = None) -> None:
    """List the workspaces below the current one."""
    path = _current(workspace_contexts.load(kubeconfig))
    rows = [_row(each) for each in _access(kubeconfig, path).items(WORKSPACES)]
    if form == "table":
        click.echo(f"Current workspace is '{path}'.", err=True)
    click.echo(render(rows, form), nl=False)


@ws.command()
@click.argument("path", required=False)
@click.option("-f", "--full", is_flag=True, help="Whole paths.")
@output_option
@cluster_access.kubeconfig_option
def tree(path: str | None, full: bool, form: str, kubeconfig: str | None) -> None:
    """Show the tree of workspaces below the current one, or below PATH."""
    config = workspace_contexts.load(kubeconfig)
    top = _resolved(config, path or ".")
    found = list(_descend(kubeconfig, top, 0))
    if form != "table":
        rows: list[Row] = [{"path": place, "phase": phase, "type": type_} for place, _, phase, type_ in found]
        click.echo(render(rows, form), nl=False)
        return
    click.echo(top if full else top.rpartition(":")[2])
    for place, depth, phase, _ in found:
        name = place if full else place.rpartition(":")[2]
        click.echo(f"{'    ' * depth}└── {name}{'' if phase == 'Ready' else f' ({phase})'}")


@ws.command()
@click.argument("path")
@click.option("--type", "type_", default="", metavar="[PATH:]NAME", help="Of which type; the parent's default else.")
@click.option("--enter", is_flag=True, help="Go there.")
@click.option("--ignore-existing", is_flag=True, help="One that is there already will do.")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds until it must be ready.")
@click.option("-o", "--output", "form", type=click.Choice(["text", "json", "yaml"]), default="text")
@cluster_access.kubeconfig_option
def create(
    path: str, type_: str, enter: bool, ignore_existing: bool, timeout: float, form: str, kubeconfig: str | None
) -> None:
    """Make a workspace and wait until it is ready."""
    config = workspace_contexts.load(kubeconfig)
    wanted = _resolved(config, path)
    parent, name = _split(wanted)
    access = _access(kubeconfig, parent)
    body: Object = {"apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "Workspace", "metadata": {"name": name}}
    if type_:
        place, _, last = type_.rpartition(":")
        body["spec"] = {"type": {"name": last.lower(), **({"path": place.strip(":")} if place else {})}}
    try:
        found = access.request("POST", WORKSPACES, body=body)
    except ApiFailure as failure:
        if failure.code != 409 or not ignore_existing:
            raise
        found = access.request("GET", f"{WORKSPACES}/{name}")
    found = _ready(access, found, timeout)
    if form != "text":
        click.echo(render([found], form), nl=False)
    else:
        reference = found["spec"]["type"]
        click.echo(f"Workspace '{wanted}' (type {reference['path']}:{reference['name']}) is ready.")
    if enter:
        _enter(config, wanted)
        click.echo(f"Current workspace is '{wanted}'.", err=form != "text")


@ws.command()
@click.argument("path")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Until nothing is left of it.")
@click.option("--timeout", default=300.0, show_default=True, help="Seconds that this may take.")
@cluster_access.kubeconfig_option
def delete(path: str, wait: bool, timeout: float, kubeconfig: str | None) -> None:
    """Delete a workspace with everything in it and below it."""
    config = workspace_contexts.load(kubeconfig)
    wanted = _resolved(config, path)
    parent, name = _split(wanted)
    access = _access(kubeconfig, parent)
    uid = access.request("GET", f"{WORKSPACES}/{name}")["metadata"]["uid"]
    access.request("DELETE", f"{WORKSPACES}/{name}", body={"preconditions": {"uid": uid}})
    if not wait:
        click.echo(f"Workspace '{wanted}' is being deleted.")
        return
    ends = time.monotonic() + timeout
    while (found := access.get(f"{WORKSPACES}/{name}")) is not None and found["metadata"]["uid"] == uid:
        if time.monotonic() > ends:
            raise Refused(f"workspace '{wanted}' is still there: {_why(found)}")
        time.sleep(_POLL_S)
    click.echo(f"Workspace '{wanted}' is deleted.")


@ws.command()
@cluster_access.kubeconfig_option
def shell(kubeconfig: str | None) -> None:
    """Print what makes this terminal's current workspace its own: eval "$(kcp ws shell)"."""
    paths = workspace_contexts.kubeconfig_paths(kubeconfig)
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    try:
        directory = base / f"kcp-{os.getuid()}"
        directory.mkdir(mode=0o700, exist_ok=True)
        if directory.stat().st_uid != os.getuid() or stat.S_IMODE(directory.stat().st_mode) & 0o077:
            raise Refused(f"{directory} is not only yours")
    except OSError as fault:
        raise Refused(os_sentence("cannot make a place for the terminal's kubeconfig", fault)) from fault
    own = directory / f"terminal-{os.getppid()}.kubeconfig"
    if paths[0] != own:
        own.unlink(missing_ok=True)
        paths = [own, *(each.absolute() for each in paths)]
    click.echo(f"export KUBECONFIG={shlex.quote(os.pathsep.join(map(str, paths)))}")


@ws.command()
@click.option("--directory", type=click.Path(path_type=Path, file_okay=False), help="[default: where kcp is]")
def install(directory: Path | None) -> None:
    """Install this command as kubectl's `kubectl ws`, where there is none."""
    found = shutil.which("kubectl-ws")
    if found:
        raise Refused(f"there is a kubectl-ws already: {found}")
    place = (directory or Path(sys.argv[0]).absolute().parent) / "kubectl-ws"
    try:
        place.write_text(_SCRIPT.format(python=shlex.quote(sys.executable)))
        place.chmod(0o755)
    except OSError as fault:
        raise Refused(os_sentence("cannot install", fault)) from fault
    click.echo(f"{place} is installed: kubectl ws")


# --- the kubeconfig


def _current(config: Kubeconfig) -> str:
    try:
        return split_server(config.server_of(config.current))[1]
    except NotAPath as fault:
        raise Refused(str(fault)) from fault


def _resolved(config: Kubeconfig, text: str) -> str:
    try:
        return resolve(_current(config), text)
    except NotAPath as fault:
        raise Refused(str(fault)) from fault


def _split(path: str) -> tuple[str, str]:
    try:
        return split_last(path)
    except NotAPath as fault:
        raise Refused(str(fault)) from fault


def _enter(config: Kubeconfig, path: str) -> None:
    base, _ = split_server(config.server_of(config.current))
    config.enter(config.add(config.current, path, f"{base}/clusters/{path}"))
    config.save()


def _go_back(config: Kubeconfig) -> None:
    if not config.previous:
        raise Refused("there is no workspace before this one")
    config.enter(config.previous)
    config.save()
    click.echo(f"Current workspace is '{_current(config)}'.")


# --- the server


def _access(kubeconfig: str | None, path: str) -> ClusterAccess:
    return cluster_access.connect(kubeconfig, None, path)


def _check_entrance(access: ClusterAccess, path: str) -> None:
    try:
        access.request("GET", "/api")
    except ApiFailure as failure:
        if failure.code == 404:
            raise Refused(f"workspace '{path}' not found") from failure
        if failure.code in (401, 403):
            raise Refused(f"access to workspace '{path}' denied") from failure
        raise


def _ready(access: ClusterAccess, found: Object, timeout: float) -> Object:
    ends = time.monotonic() + timeout
    name = found["metadata"]["name"]
    while (found.get("status") or {}).get("phase") != "Ready":
        if time.monotonic() > ends:
            raise Refused(f"workspace '{name}' is not ready: {_why(found)}")
        time.sleep(_POLL_S)
        found = access.request("GET", f"{WORKSPACES}/{name}")
    return found


def _why(found: Object) -> str:
    status = found.get("status") or {}
    said = [each.get("message") for each in status.get("conditions") or () if each.get("status") == "False"]
    return "; ".join([str(status.get("phase") or "Scheduling"), *filter(None, said)])


def _descend(kubeconfig: str | None, path: str, depth: int) -> Iterator[tuple[str, int, str, str]]:
    """Path, depth, phase and type of everything below that may be looked at."""
    if depth > _MAX_DEPTH:
        return
    try:
        children = sorted(_access(kubeconfig, path).items(WORKSPACES), key=lambda each: str(each["metadata"]["name"]))
    except ApiFailure as failure:
        if depth and failure.code in (403, 404):
            return
        raise
    for child in children:
        place, row = f"{path}:{child['metadata']['name']}", _row(child)
        yield place, depth, str(row["phase"]), str(row["type"])
        yield from _descend(kubeconfig, place, depth + 1)


def _row(workspace: Object) -> dict[str, Any]:
    reference = (workspace.get("spec") or {}).get("type") or {}
    return {
        "name": workspace["metadata"]["name"],
        "type": ":".join(filter(None, (reference.get("path"), reference.get("name")))),
        "phase": (workspace.get("status") or {}).get("phase") or "Scheduling",
        "url": (workspace.get("spec") or {}).get("URL"),
    }
