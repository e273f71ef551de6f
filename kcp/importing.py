"""`kcp import`: what `kcp export` has written, or another cluster as it is, into a logical cluster.

Through ordinary requests of the user who imports, so that nobody gets in what they could not write themselves. What is
refused is told at the end, each with its reason; the rest is imported all the same.
"""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click

from kcp import cluster_access
from kcp.cluster_access import ApiFailure, ClusterAccess, ResourceType
from kcp.export import read_cluster
from kcp.output import Refused
from kcp.portable_file import Entry, Header, entries_by_type, read_file
from kcp.portable_objects import FIRST, Object, moved, over, owners_known, rank, uids_of, why_left, without_addresses

_SERVED_S, _POLL_S = 30.0, 0.1
_MOST_SHOWN = 50


class Told(NamedTuple):
    shown: str  # configmaps/name in namespace x
    reason: str


class Report:
    """What became of everything."""

    def __init__(self) -> None:
        self.created = self.updated = self.same = 0
        self.left: list[Told] = []
        self.refused: list[Told] = []
        self.orphaned: list[Told] = []

    def counts(self) -> tuple[int, int, int, int]:
        return self.created, self.updated, self.same, len(self.refused)


@click.command("import")
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--as", "cluster", required=True, metavar="PATH", help="The logical cluster that gets it.")
@click.option("--from-kubeconfig", "source", metavar="KUBECONFIG", help="Instead of FILE: another cluster as it is.")
@click.option("--from-context", "source_context", metavar="NAME", help="Of that kubeconfig.")
@click.option("--without-status", is_flag=True, help="Leave it to controllers to find out again.")
@cluster_access.kubeconfig_option
@cluster_access.context_option
def import_(
    file: Path | None,
    cluster: str,
    source: str | None,
    source_context: str | None,
    without_status: bool,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Write the objects of FILE, or of another cluster, into the logical cluster PATH.

    \b
    kcp import team-a.kcp --as root:team-b
    kcp import --from-kubeconfig elsewhere.yaml --as elsewhere

    Definitions come first, owners before what they own; uids, resourceVersions and times are new. What is there already
    is brought to what the file says; nothing is deleted.
    """
    if (file is None) == (source is None):
        raise Refused("name a file, or another cluster with --from-kubeconfig")
    access = cluster_access.connect(kubeconfig, context, cluster)
    header: Header
    if file is not None:
        header, entries = read_file(file)
    else:
        header, read = read_cluster(cluster_access.connect(source, source_context, None), source or "")
        entries = list(read)
    click.echo(f"{len(entries)} objects of {header.cluster} at {header.resource_version}", err=True)
    report = write_entries(access, entries, not without_status)
    click.echo(summary(report), nl=False)
    if report.refused:
        raise Refused(f"{len(report.refused)} of the objects were refused")


def summary(report: Report) -> str:
    created, updated, same, refused = report.counts()
    counts = f"{created} created, {updated} updated, {same} as they were"
    lines = [f"{counts}, {len(report.left)} left out, {refused} refused"]
    reasons = Counter(each.reason for each in report.left)
    lines += [f"  left out: {number}: {reason}" for reason, number in reasons.items()]
    for title, found in (("refused", report.refused), ("without owner", report.orphaned)):
        lines += [f"  {title}: {each.shown}: {each.reason}" for each in found[:_MOST_SHOWN]]
        if len(found) > _MOST_SHOWN:
            lines.append(f"  {title}: and {len(found) - _MOST_SHOWN} more")
    return "\n".join(lines) + "\n"


def write_entries(access: ClusterAccess, entries: Sequence[Entry], with_status: bool = True) -> Report:
    report = Report()
    uids: dict[str, str] = {}
    wanted = []
    for entry in entries:
        if reason := why_left(entry.type, entry.object):
            report.left.append(Told(_shown(entry), reason))
        else:
            wanted.append(entry)
    waiting: list[Entry] = []
    by_type = sorted(entries_by_type(wanted), key=lambda found: rank(found[0], found[1][0].namespaced))
    coming = {entry.object["metadata"].get("uid", "") for entry in wanted}
    for name, found in by_type:
        before = report.counts()
        for entry in found:
            if owners_known(entry.object, uids, frozenset(coming)):
                _write(access, entry, uids, report, with_status)
                coming.discard(entry.object["metadata"].get("uid", ""))
            else:
                waiting.append(entry)
        _tell(name, before, report.counts())
        if name == FIRST[1]:
            _wait_until_served(access, found)
    _write_waiting(access, waiting, uids, report, with_status)
    return report


def _write_waiting(
    access: ClusterAccess, waiting: list[Entry], uids: dict[str, str], report: Report, with_status: bool
) -> None:
    """What is owned by a type that comes later, until nothing more is to be gained; owners in a circle are given up."""
    while waiting:
        coming = uids_of(entry.object for entry in waiting)
        ready = [entry for entry in waiting if owners_known(entry.object, uids, coming)] or waiting
        for entry in ready:
            _write(access, entry, uids, report, with_status)
        waiting = [entry for entry in waiting if entry not in ready]


def _tell(name: str, before: tuple[int, ...], after: tuple[int, ...]) -> None:
    created, updated, same, refused = (now - then for now, then in zip(after, before, strict=True))
    if created or updated or refused:
        click.echo(f"{name}: {created} created, {updated} updated, {same} as they were, {refused} refused", err=True)


def _write(access: ClusterAccess, entry: Entry, uids: dict[str, str], report: Report, with_status: bool) -> None:
    found = _type_of(access, entry)
    obj, lost = moved(entry.object, uids)
    if found is None:
        report.refused.append(Told(_shown(entry), "the type is not served"))
        return
    if lost:
        report.orphaned.append(Told(_shown(entry), f"{', '.join(lost)} did not come along"))
    meta = obj["metadata"]
    path = found.path(meta.get("namespace", ""), meta["name"])
    try:
        current = access.get(path)
        if current is None:
            written = _create(access, found, obj)
            report.created += 1
        elif (changed := over(obj, current)) is None:
            written, report.same = current, report.same + 1
        else:
            written = access.request("PUT", path, body=changed)
            report.updated += 1
        if with_status and entry.status and entry.object.get("status") and entry.type not in FIRST:
            _write_status(access, path, entry.object["status"], written)
    except ApiFailure as failure:
        report.refused.append(Told(_shown(entry), failure.message))
        return
    if (uid := entry.object["metadata"].get("uid")) and written["metadata"].get("uid"):
        uids[uid] = written["metadata"]["uid"]


def _create(access: ClusterAccess, found: ResourceType, obj: Object) -> Object:
    path = found.path(obj["metadata"].get("namespace", ""))
    deadline = time.monotonic() + _SERVED_S
    while True:
        try:
            return access.request("POST", path, body=obj)
        except ApiFailure as failure:
            if found.full_name == "services" and failure.code in (409, 422):
                return access.request("POST", path, body=without_addresses(obj))
            # A type that has just been defined is not served everywhere at once.
            is_new = failure.code == 404 and found.group and not (failure.status.get("details") or {}).get("name")
            if not is_new or time.monotonic() > deadline:
                raise
        time.sleep(_POLL_S)


def _write_status(access: ClusterAccess, path: str, status: Object, written: Object) -> None:
    if written.get("status") == status:
        return
    access.request("PATCH", f"{path}/status", body={"status": status}, content_type="application/merge-patch+json")


def _type_of(access: ClusterAccess, entry: Entry) -> ResourceType | None:
    """In the version that the object is written in, whichever is preferred here."""
    version = entry.api_version.rpartition("/")[2]
    for found in access.types():
        if found.full_name == entry.type:
            return found._replace(version=version)
    return None


def _wait_until_served(access: ClusterAccess, definitions: Sequence[Entry]) -> None:
    deadline = time.monotonic() + _SERVED_S
    wanted = {entry.object["metadata"]["name"] for entry in definitions}
    while True:
        access.forget_types()
        if wanted <= {found.full_name for found in access.types()} or time.monotonic() > deadline:
            return
        time.sleep(_POLL_S)


def _shown(entry: Entry) -> str:
    meta = entry.object["metadata"]
    return f"{entry.type}/{meta['name']}" + (f" in namespace {meta['namespace']}" if meta.get("namespace") else "")
