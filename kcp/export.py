"""`kcp export`: one logical cluster, or any cluster that speaks Kubernetes, into one file."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from kcp import cluster_access
from kcp.cluster_access import PAGE, ApiFailure, ClusterAccess, ResourceType
from kcp.portable_file import Entry, Header, write_file
from kcp.portable_objects import LEFT_BEHIND, Object, rank

# What a server does not let be listed at a given revision, or at all, is told and left out.
_NEEDED = frozenset(("list", "create"))
_NOT_AT_ONCE = frozenset((400, 410, 422, 504))


@click.command()
@click.argument("cluster", metavar="[PATH]", required=False)
@click.option("-o", "--output", "path", type=click.Path(path_type=Path, dir_okay=False), required=True, metavar="FILE")
@cluster_access.kubeconfig_option
@cluster_access.context_option
def export(cluster: str | None, path: Path, kubeconfig: str | None, context: str | None) -> None:
    """Write the logical cluster PATH [the context's], as it is at one moment, to a file.

    \b
    kcp export root:team-a -o team-a.kcp
    kcp export --kubeconfig elsewhere.yaml -o elsewhere.kcp

    Everything that can be listed is in it, secrets too. `kcp import` reads it.
    """
    access = cluster_access.connect(kubeconfig, context, cluster)
    header, entries = read_cluster(access, cluster or access.server)
    count = write_file(path, header, entries)
    click.echo(f"{path}: {count} objects of {header.cluster} at {header.resource_version}")


def read_cluster(access: ClusterAccess, name: str) -> tuple[Header, Iterator[Entry]]:
    """Of all types at one revision; of another server behind an APIService as it is when asked."""
    found = access.request("GET", "/api/v1/namespaces", {"limit": "1"})
    revision = str((found.get("metadata") or {}).get("resourceVersion") or "")
    header = Header(name, revision, datetime.now(UTC).isoformat(timespec="seconds"))
    return header, _entries(access, revision)


def _entries(access: ClusterAccess, revision: str) -> Iterator[Entry]:
    wanted = [found for found in access.types() if found.verbs >= _NEEDED and found.full_name not in LEFT_BEHIND]
    seen: set[str] = set()
    for found in sorted(wanted, key=lambda each: rank(each.full_name, each.namespaced)):
        if found.full_name in seen:
            continue
        seen.add(found.full_name)
        try:
            for obj in _objects(access, found, revision):
                obj.update(apiVersion=found.api_version, kind=found.kind)
                yield Entry(found.full_name, found.api_version, found.kind, found.namespaced, found.has_status, obj)
        except ApiFailure as failure:
            if failure.code in (401, 403):
                raise
            click.echo(f"kcp: {found.full_name} is left out: {failure.message}", err=True)


def _objects(access: ClusterAccess, found: ResourceType, revision: str) -> Iterator[Object]:
    query = {"limit": str(PAGE)}
    exactly = {"resourceVersion": revision, "resourceVersionMatch": "Exact"} if revision else {}
    try:
        page = access.request("GET", found.path(), {**query, **exactly})
    except ApiFailure as failure:
        if failure.code not in _NOT_AT_ONCE:
            raise
        page = access.request("GET", found.path(), query)
    while True:
        yield from page.get("items") or ()
        token = (page.get("metadata") or {}).get("continue")
        if not token:
            return
        page = access.request("GET", found.path(), {**query, "continue": token})
