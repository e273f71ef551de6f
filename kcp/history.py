"""`kcp history TYPE/NAME`: who changed an object, when and what; `kcp get … --at`: what was there at some time."""

from collections.abc import Iterator
from typing import Any

import click

from kcp import cluster_access
from kcp.cluster_access import ClusterAccess, ResourceType
from kcp.differences import differences
from kcp.output import Refused, render

_OUTPUTS = click.Choice(["text", "json", "yaml"])


@click.command()
@click.argument("what", metavar="TYPE/NAME")
@cluster_access.namespace_option
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many changes, newest first.")
@click.option("-o", "--output", "form", type=_OUTPUTS, default="text", show_default=True, help="How to show them.")
@cluster_access.kubeconfig_option
@cluster_access.context_option
@cluster_access.cluster_option
def history(
    what: str,
    namespace: str | None,
    limit: int,
    form: str,
    kubeconfig: str | None,
    context: str | None,
    cluster: str | None,
) -> None:
    """Show the changes to one object, newest first, as far back as they are kept.

    Deleted objects are shown too. What each write changes anyway (resourceVersion, generation, managedFields) is
    left out of the differences.
    """
    access = cluster_access.connect(kubeconfig, context, cluster)
    kind, name = cluster_access.split_name(what)
    found = access.find_type(kind)
    # One more than is shown: the state before the last one tells what that one changed.
    changes = read_changes(access, found, namespace or access.namespace, name, limit + 1)
    if not changes:
        raise Refused(f'no change of {found.full_name} "{name}" is kept')
    if form == "text":
        click.echo("\n".join(_lines(changes, limit)))
    else:
        click.echo(render(changes[:limit], form), nl=False)


def read_changes(
    access: ClusterAccess, found: ResourceType, namespace: str, name: str, limit: int
) -> list[dict[str, Any]]:
    changes: list[dict[str, Any]] = []
    query = {"history": "true"}
    while len(changes) < limit:
        query["limit"] = str(limit - len(changes))
        page = access.request("GET", found.path(namespace, name), query)
        changes += page["items"]
        token = page["metadata"].get("continue")
        if not token:
            break
        query["continue"] = token
    return changes


def _lines(changes: list[dict[str, Any]], limit: int) -> Iterator[str]:
    for change, earlier in zip(changes[:limit], [*changes[1:], None], strict=False):
        user = change["user"] or "(not recorded)"
        yield f"{change['time']}  {change['operation']}  {user}  {change['resourceVersion']}"
        for line in _changed(change, earlier):
            yield f"    {line}"


def _changed(change: dict[str, Any], earlier: dict[str, Any] | None) -> list[str]:
    """Of an update whose earlier state is no longer kept, nothing can be told."""
    if change["operation"] != "Update" or earlier is None or earlier["operation"] == "Delete":
        return []
    return differences(earlier["object"], change["object"])


@click.command()
@click.argument("what", metavar="TYPE[/NAME]")
@cluster_access.namespace_option
@click.option("-A", "--all-namespaces", is_flag=True, help="Of all namespaces.")
@click.option("--at", required=True, metavar="TIME", help="RFC 3339 time, or a resourceVersion.")
@click.option("-l", "--selector", default="", help="Only objects with these labels.")
@click.option("-o", "--output", "form", type=click.Choice(["name", "json", "yaml"]), default="yaml", show_default=True)
@cluster_access.kubeconfig_option
@cluster_access.context_option
@cluster_access.cluster_option
def get(
    what: str,
    namespace: str | None,
    all_namespaces: bool,
    at: str,
    selector: str,
    form: str,
    kubeconfig: str | None,
    context: str | None,
    cluster: str | None,
) -> None:
    """Show objects as they were at some time that is still kept."""
    access = cluster_access.connect(kubeconfig, context, cluster)
    kind, _, name = what.partition("/")
    found = access.find_type(kind)
    place = "" if all_namespaces else namespace or access.namespace
    if name:
        objects = [access.request("GET", found.path(place, name), {"at": at})]
    else:
        query = {"at": at, **({"labelSelector": selector} if selector else {})}
        objects = list(access.items(found.path(place), query))
        for obj in objects:
            obj.update(kind=found.kind, apiVersion=found.api_version)
    if form == "name":
        click.echo("".join(f"{found.full_name}/{obj['metadata']['name']}\n" for obj in objects), nl=False)
    elif name:
        click.echo(_document(objects[0], form), nl=False)
    else:
        click.echo(_document({"apiVersion": "v1", "kind": "List", "items": objects}, form), nl=False)


def _document(document: dict[str, Any], form: str) -> str:
    if form == "json":
        import json

        return json.dumps(document, indent=2) + "\n"
    import yaml

    return str(yaml.safe_dump(document, sort_keys=False))
