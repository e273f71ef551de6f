"""`kcp fork`, `kcp diff`, `kcp promote`: a logical cluster tried out on the state of another one."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import click

from kcp import cluster_access, promotion
from kcp.apply import API_VERSION, PATH, transaction
from kcp.cluster_access import ApiFailure, ClusterAccess, Object, ResourceType
from kcp.differences import differences
from kcp.output import Refused
from kcp.portable_objects import LEFT_BEHIND, rank, why_left
from kcp.promotion import Change
from kcp.restoration import key

FORK_OF = "changes.kcp.io/fork-of"
_FACTS = "/api/v1/namespaces/kube-system/configmaps/kcp-fork"
_WORKSPACES = "/apis/tenancy.kcp.io/v1alpha1/workspaces"
_READY_S, _POLL_S = 60.0, 0.1
_NEEDED = frozenset(("list", "create", "update", "delete"))
_AT_ONCE = 1_000  # operations of one Transaction
_OUTPUTS = click.Choice(["diff", "name", "json", "yaml"])


@click.command()
@click.argument("origin")
@click.argument("path")
@cluster_access.kubeconfig_option
@cluster_access.context_option
def fork(origin: str, path: str, kubeconfig: str | None, context: str | None) -> None:
    """Make the logical cluster PATH, which begins as ORIGIN is now.

    \b
    kcp fork root:prod root:try

    It takes no time and no space: both share their objects until one of them writes. Whoever may do something in ORIGIN
    may do it in PATH; tokens of ORIGIN's service accounts are worth nothing there. Its child workspaces stay behind.
    """
    if ":" in path:
        _fork_workspace(kubeconfig, context, origin, path)
    else:
        access = cluster_access.connect(kubeconfig, context, origin)
        document = {"apiVersion": API_VERSION, "kind": "Fork", "spec": {"path": path}}
        access.request("POST", f"/apis/{API_VERSION}/forks", body=document)
    click.echo(f"{path} is a fork of {origin}")


def _fork_workspace(kubeconfig: str | None, context: str | None, origin: str, path: str) -> None:
    """By its Workspace: of the type that ORIGIN's has, if that is one."""
    parent, _, name = path.rpartition(":")
    access = cluster_access.connect(kubeconfig, context, parent)
    spec: Object = {}
    above, _, own = origin.rpartition(":")
    if above:
        found = cluster_access.connect(kubeconfig, context, above).get(f"{_WORKSPACES}/{own}")
        if found is not None:
            spec = {"type": found["spec"]["type"]}
    head = {"apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "Workspace"}
    metadata = {"name": name, "annotations": {FORK_OF: origin}}
    access.request("POST", _WORKSPACES, body={**head, "metadata": metadata, "spec": spec})
    deadline = time.monotonic() + _READY_S
    while True:
        found = access.request("GET", f"{_WORKSPACES}/{name}")
        status = found.get("status") or {}
        if status.get("phase") == "Ready":
            return
        refusals = [each for each in status.get("conditions") or () if each.get("reason") == "ForkRefused"]
        if refusals:
            access.request("DELETE", f"{_WORKSPACES}/{name}")
            raise Refused(f"{origin} cannot be forked to {path}: {refusals[0].get('message')}")
        if time.monotonic() > deadline:
            raise Refused(f"{path} is not ready after {_READY_S:.0f} s: kubectl get workspace {name} tells more")
        time.sleep(_POLL_S)


# --- diff


class Difference(NamedTuple):
    type: ResourceType
    before: Object | None
    after: Object | None

    @property
    def shown(self) -> str:
        obj = self.after or self.before
        assert obj is not None
        return _name(self.type, obj)


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--at", metavar="TIME", help="Both as they were then: RFC 3339 time, or a resourceVersion.")
@cluster_access.namespace_option
@click.option("-o", "--output", "form", type=_OUTPUTS, default="diff", show_default=True)
@cluster_access.kubeconfig_option
@cluster_access.context_option
def diff(
    first: str,
    second: str,
    at: str | None,
    namespace: str | None,
    form: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Show how the logical cluster B differs from A. The exit code is 1 if it does.

    What servers give (uid, resourceVersion, times, managedFields) is no difference.
    """
    one = cluster_access.connect(kubeconfig, context, first)
    other = cluster_access.connect(kubeconfig, context, second)
    found = list(compare(one, other, namespace or "", {"at": at} if at else {}))
    if form == "diff":
        for each in found:
            click.echo(_head(each))
            for line in differences(_shown(each.before), _shown(each.after)):
                click.echo(f"    {line}")
    elif form == "name":
        for each in found:
            click.echo(each.shown)
    else:
        rows = [{"object": each.shown, "a": each.before, "b": each.after} for each in found]
        click.echo(_document(rows, form), nl=False)
    if found:
        raise click.exceptions.Exit(1)


def compare(one: ClusterAccess, other: ClusterAccess, namespace: str, query: dict[str, str]) -> Iterator[Difference]:
    for found in _types(one, other, bool(namespace)):
        before = _by_place(one, found, namespace, query)
        after = _by_place(other, found, namespace, query)
        for place in sorted(before.keys() | after.keys()):
            ours, theirs = before.get(place), after.get(place)
            if ours is None or theirs is None or promotion.meaning(ours) != promotion.meaning(theirs):
                yield Difference(found, ours, theirs)


def _types(one: ClusterAccess, other: ClusterAccess, only_namespaced: bool = False) -> list[ResourceType]:
    """What either of them serves."""
    found = {each.full_name: each for access in (one, other) for each in access.types() if each.verbs >= _NEEDED}
    wanted = [each for name, each in found.items() if name not in LEFT_BEHIND]
    return sorted(
        (each for each in wanted if each.namespaced or not only_namespaced),
        key=lambda each: rank(each.full_name, each.namespaced),
    )


def _by_place(
    access: ClusterAccess, found: ResourceType, namespace: str, query: dict[str, str]
) -> dict[tuple[str, str], Object]:
    return {key(obj): obj for obj in _objects(access, found, namespace, query)}


def _objects(
    access: ClusterAccess, found: ResourceType, namespace: str = "", query: dict[str, str] | None = None
) -> Iterator[Object]:
    """None where the type is not served."""
    try:
        for obj in access.items(found.path(namespace), query):
            if not _is_facts(obj) and not why_left(found.full_name, {"type": "", **obj}):
                obj.update(apiVersion=found.api_version, kind=found.kind)
                yield obj
    except ApiFailure as failure:
        if failure.code != 404:
            raise


def _is_facts(obj: Object) -> bool:
    meta = obj["metadata"]
    return (meta["name"], meta.get("namespace")) == ("kcp-fork", "kube-system")


def _head(found: Difference) -> str:
    mark = "+" if found.before is None else "-" if found.after is None else "~"
    return f"{mark} {found.shown}"


def _shown(obj: Object | None) -> Object | None:
    return None if obj is None else promotion.meaning(obj)


def _name(found: ResourceType, obj: Object) -> str:
    namespace, name = key(obj)
    return f"{found.full_name}/{name}" + (f" in namespace {namespace}" if namespace else "")


def _document(rows: list[dict[str, Any]], form: str) -> str:
    if form == "json":
        import json

        return json.dumps(rows, indent=2) + "\n"
    import yaml

    return str(yaml.safe_dump(rows, sort_keys=False))


# --- promote


@click.command()
@click.argument("path", metavar="FORK")
@click.option("--force", is_flag=True, help="Write the fork's state also over what the origin has changed.")
@click.option("--skip", is_flag=True, help="Leave out what the origin has changed as well.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@cluster_access.kubeconfig_option
@cluster_access.context_option
def promote(path: str, force: bool, skip: bool, dry_run: bool, kubeconfig: str | None, context: str | None) -> None:
    """Bring what has been changed in FORK to the logical cluster that it was forked from.

    What both have changed since is a conflict: all are listed and nothing is written, unless --force or --skip says
    what to do. A status, what controllers own and events stay behind. Up to 1 000 changes are one commit.
    """
    if force and skip:
        raise Refused("--force and --skip contradict each other")
    theirs = cluster_access.connect(kubeconfig, context, path)
    facts = theirs.get(_FACTS)
    if facts is None:
        raise Refused(f"{path} is no fork")
    origin, at = facts["data"]["origin"], int(facts["data"]["at"])
    ours = cluster_access.connect(kubeconfig, context, origin)
    found = list(fork_changes(ours, theirs, at, facts["metadata"]["resourceVersion"]))
    conflicts = [(type_, change) for type_, change in found if change.conflict]
    if conflicts and not (force or skip):
        for type_, change in conflicts:
            click.echo(f"conflict: {_change_name(type_, change)}: {change.conflict}")
        raise Refused(f"{len(conflicts)} of {len(found)} changes are in conflict: nothing was promoted")
    wanted = [(type_, change) for type_, change in found if force or not change.conflict]
    for type_, change in wanted:
        click.echo(f"{change.verb.lower()} {_change_name(type_, change)}")
    if not dry_run:
        write(ours, wanted)
    click.echo(f"{len(wanted)} changes of {path} {'would be' if dry_run else 'are'} in {origin}")


def fork_changes(
    ours: ClusterAccess, theirs: ClusterAccess, at: int, birth: str
) -> Iterator[tuple[ResourceType, Change]]:
    """In the order in which they can be written; deletions last, in the opposite order. `birth` is the fork's first
    revision: its past is kept for a day, and tells more exactly what there was."""
    deletions = []
    for found in _types(ours, theirs):
        began = _began(theirs, found, birth)
        for change in promotion.changes(_objects(ours, found), _objects(theirs, found), at, began):
            if change.verb == "Delete":
                deletions.append((found, change))
            else:
                yield found, change
    yield from reversed(deletions)


def _began(theirs: ClusterAccess, found: ResourceType, birth: str) -> list[Object] | None:
    try:
        return list(_objects(theirs, found, "", {"at": birth}))
    except ApiFailure as failure:
        if failure.code == 410:
            return None
        raise


def write(access: ClusterAccess, wanted: list[tuple[ResourceType, Change]]) -> None:
    """Definitions in a commit of their own, because what they define is served only then."""
    definitions = [
        each for each in wanted if each[0].plural == "customresourcedefinitions" and each[1].verb != "Delete"
    ]
    rest = [each for each in wanted if each not in definitions]
    for changes in (definitions, rest):
        for start in range(0, len(changes), _AT_ONCE):
            operations = [promotion.operation(change) for _, change in changes[start : start + _AT_ONCE]]
            access.request("POST", PATH, {"fieldManager": "kcp-promote"}, transaction(operations))
        if changes is definitions and changes:
            _wait_for({change.place[1] for _, change in definitions}, access)


def _wait_for(names: set[str], access: ClusterAccess) -> None:
    deadline = time.monotonic() + _READY_S
    while True:
        access.forget_types()
        if names <= {found.full_name for found in access.types()} or time.monotonic() > deadline:
            return
        time.sleep(_POLL_S)


def _change_name(found: ResourceType, change: Change) -> str:
    obj = change.theirs or change.ours
    assert obj is not None
    return _name(found, obj)
