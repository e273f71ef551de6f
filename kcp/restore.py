"""`kcp restore`: the past written anew, by ordinary requests of the user who restores.

Every write names the object it was decided for (uid, resourceVersion), so that what others write meanwhile is not lost:
such an object is reported as failed and can be restored again.
"""

import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import click

from kcp import cluster_access, restoration
from kcp.cluster_access import ApiFailure, ClusterAccess, Object, ResourceType
from kcp.output import Refused
from kcp.restoration import Operation

# Made by others from what is restored, or kept for minutes only.
_DERIVED = frozenset(
    ("events", "events.events.k8s.io", "leases.coordination.k8s.io", "endpoints", "endpointslices.discovery.k8s.io")
)
_FIRST = ("namespaces", "customresourcedefinitions.apiextensions.k8s.io")
_SERVED_S, _POLL_S = 10.0, 0.1
_NEEDED = frozenset(("list", "create", "update", "delete"))


class Step(NamedTuple):
    type: ResourceType
    operation: Operation

    @property
    def shown(self) -> str:
        namespace, name = restoration.key(self.operation.object)
        return f"{self.type.full_name}/{name}" + (f" in namespace {namespace}" if namespace else "")


@click.command()
@click.argument("what", metavar="[TYPE/NAME]", required=False)
@click.option("--to", "at", required=True, metavar="TIME", help="RFC 3339 time, or a resourceVersion.")
@cluster_access.namespace_option
@click.option("--all", "whole_namespace", is_flag=True, help="Everything in the namespace.")
@click.option("--everything", is_flag=True, help="The whole logical cluster.")
@click.option("--prune", is_flag=True, help="With --all or --everything: delete what was not there then.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@cluster_access.kubeconfig_option
@cluster_access.context_option
@cluster_access.cluster_option
def restore(
    what: str | None,
    at: str,
    namespace: str | None,
    whole_namespace: bool,
    everything: bool,
    prune: bool,
    dry_run: bool,
    kubeconfig: str | None,
    context: str | None,
    cluster: str | None,
) -> None:
    """Bring an object, a namespace or a logical cluster back to how it was.

    \b
    kcp restore deploy/web --to 2026-11-30T12:00:00Z
    kcp restore --all -n shop --to 2026-11-30T12:00:00Z --dry-run
    kcp restore --everything --to 2026-11-30T12:00:00Z --prune

    What was deleted is made again (under a new uid), what was changed is changed back. What controllers own is left to
    them; a status is not restored. Objects that are newer stay unless --prune is given.
    """
    if sum((bool(what), whole_namespace, everything)) != 1:
        raise Refused("say what to restore: TYPE/NAME, --all (of a namespace) or --everything")
    if what and prune:
        raise Refused("--prune goes with --all or --everything")
    access = cluster_access.connect(kubeconfig, context, cluster)
    place = namespace or access.namespace
    if what:
        steps = _object_steps(access, what, place, at)
    else:
        steps = _range_steps(access, "" if everything else place, at, prune)
    failures = carry_out(access, steps, dry_run)
    if failures:
        raise Refused(f"{failures} of the objects could not be restored")


def _object_steps(access: ClusterAccess, what: str, namespace: str, at: str) -> Iterator[Step]:
    kind, name = cluster_access.split_name(what)
    found = access.find_type(kind)
    path = found.path(namespace, name)
    then, now = access.get(path, {"at": at}), access.get(path)
    if then is None and now is None:
        raise Refused(f'{found.full_name} "{name}" neither was there then nor is now')
    living = living_owners(access, [then] if then else [])
    for operation in restoration.plan(_present(then), _present(now), living):
        yield Step(found, operation)


def _present(obj: Object | None) -> list[Object]:
    return [] if obj is None else [obj]


def _range_steps(access: ClusterAccess, namespace: str, at: str, prune: bool) -> Iterator[Step]:
    """Of one namespace, or with "" of everything: namespaces and definitions first, deletions last."""
    deletions = []
    for found in _ordered(access, bool(namespace)):
        path = found.path(namespace)
        then, now = list(access.items(path, {"at": at})), list(access.items(path))
        for operation in restoration.plan(then, now, living_owners(access, then)):
            if operation.verb != "delete":
                yield Step(found, operation)
            elif prune:
                deletions.append(Step(found, operation))
        if found.full_name == _FIRST[1]:
            _wait_for_definitions(access, path)
    yield from reversed(deletions)


def _wait_for_definitions(access: ClusterAccess, path: str) -> None:
    """Until what restored definitions define is served: their objects come next."""
    deadline = time.monotonic() + _SERVED_S
    while not all(map(_is_established, access.items(path))) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    access.forget_types()


def _is_established(definition: Object) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


def _ordered(access: ClusterAccess, only_namespaced: bool) -> Iterator[ResourceType]:
    """Asked for in two steps: the types that restored definitions bring come with the second."""
    if not only_namespaced:
        yield from (found for name in _FIRST for found in access.types() if found.full_name == name)
    wanted = [found for found in access.types() if found.full_name not in (*_FIRST, *_DERIVED)]
    wanted = [found for found in wanted if found.verbs >= _NEEDED]
    if not only_namespaced:
        yield from (found for found in wanted if not found.namespaced)
    yield from (found for found in wanted if found.namespaced)


def living_owners(access: ClusterAccess, objects: Iterable[Object]) -> frozenset[str]:
    """Which of the owners that these objects name exist now, with the same uid."""
    found = set()
    for obj in objects:
        for owner in obj["metadata"].get("ownerReferences") or ():
            group = owner["apiVersion"].rpartition("/")[0]
            types = [t for t in access.types() if (t.group, t.kind) == (group, owner["kind"])]
            current = access.get(types[0].path(obj["metadata"].get("namespace", ""), owner["name"])) if types else None
            if current is not None and current["metadata"]["uid"] == owner["uid"]:
                found.add(owner["uid"])
    return frozenset(found)


def carry_out(access: ClusterAccess, steps: Iterable[Step], dry_run: bool) -> int:
    """Do it, telling each step; returns how many failed."""
    failures = 0
    for step in steps:
        done = {"create": "created", "update": "changed back", "delete": "deleted"}[step.operation.verb]
        if dry_run:
            click.echo(f"{step.shown} would be {done}")
            continue
        try:
            perform(access, step)
        except ApiFailure as failure:
            failures += 1
            click.echo(f"{step.shown} failed: {failure.message}", err=True)
        else:
            click.echo(f"{step.shown} {done}")
    return failures


def perform(access: ClusterAccess, step: Step) -> None:
    """Raises ApiFailure."""
    found, operation = step
    namespace, name = restoration.key(operation.object)
    body = {**operation.object, "kind": found.kind, "apiVersion": found.api_version}
    match operation.verb:
        case "create":
            _create(access, found.path(namespace), body)
        case "update":
            access.request("PUT", found.path(namespace, name), body=body)
        case _:
            options = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": operation.uid}}
            access.request("DELETE", found.path(namespace, name), body=options)


def _create(access: ClusterAccess, path: str, body: Object) -> None:
    """The type may just have been restored: it is served a moment later."""
    deadline = time.monotonic() + _SERVED_S
    while True:
        try:
            access.request("POST", path, body=body)
            return
        except ApiFailure as failure:
            if failure.code != 404 or time.monotonic() > deadline:
                raise
        time.sleep(_POLL_S)
