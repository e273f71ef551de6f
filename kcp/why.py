"""`kcp why TYPE/NAME`: the way of an object from its last change to its status, with the time of each hop, and why it
is where it is. Nothing is written.
"""

from collections.abc import Mapping
from typing import Any

import click

from kcp import cluster_access
from kcp.cluster_access import ApiFailure, ClusterAccess, ResourceType
from kcp.history import read_changes
from kcp.output import Refused, document, output_option, table
from kcp.plan import CLUSTERS, POLICY_KINDS
from kcpsyncer.placement.cluster_states import cluster_state, told_health
from kcpsyncer.placement.explanation import State, cluster_of, way
from kcpsyncer.placement.leafs import CLUSTER_LABEL, OWNER_LABEL, belongs_to, is_leaf, owner_label
from kcpsyncer.placement.plan import decide, placed
from kcpsyncer.placement.policies import GROUP, PlacementRules, PolicyFault, chosen, read_policy

Object = dict[str, Any]
STATES = 200  # of each object, the newest


@click.command()
@click.argument("what", metavar="TYPE/NAME")
@cluster_access.namespace_option
@output_option
@cluster_access.kubeconfig_option
@cluster_access.context_option
@cluster_access.cluster_option
def why(
    what: str,
    namespace: str | None,
    form: str,
    kubeconfig: str | None,
    context: str | None,
    cluster: str | None,
) -> None:
    """Tell where a workload is and why, what its last change went through and how long each hop took."""
    access = cluster_access.connect(kubeconfig, context, cluster)
    kind, name = cluster_access.split_name(what)
    found = explain(access, access.find_type(kind), namespace or access.namespace, name)
    if form != "table":
        click.echo(document(found, form), nl=False)
        return
    click.echo("\n\n".join(_sections(found)))


def _sections(found: Object) -> list[str]:
    sections = [f"{found['object']}: {found['placement']}"]
    sections += [table(found[part]).rstrip() for part in ("clusters", "way") if found[part]]
    if found["waiting"]:
        sections.append("Waiting:\n" + "\n".join(f"  {each}" for each in found["waiting"]))
    if found["events"]:
        sections.append(table(found["events"]).rstrip())
    return sections


def explain(access: ClusterAccess, found: ResourceType, namespace: str, name: str) -> Object:
    """Raises Refused if there is no such object."""
    root = access.get(found.path(namespace, name))
    if root is None:
        raise Refused(f'{found.full_name} "{name}" not found')
    root = {"kind": found.kind, "apiVersion": found.api_version, **root}
    leafs = _leafs(access, found, root)
    histories = {cluster_of(each): _states(access, found, each) for each in leafs}
    walked = way(_states(access, found, root), histories)
    return {
        "object": f"{found.full_name}/{name}",
        "placement": _placement(root),
        "clusters": _clusters(access, found, root, leafs),
        "way": [{**hop._asdict(), "cluster": hop.cluster or None} for hop in walked.hops],
        "waiting": list(walked.waiting),
        "events": _events(access, root, {each["metadata"]["uid"] for each in (root, *leafs)}),
    }


def _leafs(access: ClusterAccess, found: ResourceType, root: Object) -> list[Object]:
    """Of what is placed by hand it is the object itself."""
    if CLUSTER_LABEL in (root["metadata"].get("labels") or {}):
        return [root]
    query = {"labelSelector": f"{OWNER_LABEL}={owner_label(root['metadata']['name'])}"}
    listed = access.items(found.path(root["metadata"].get("namespace") or ""), query)
    return [{**each, "kind": found.kind} for each in listed if is_leaf(each) and belongs_to(each, root)]


def _states(access: ClusterAccess, found: ResourceType, obj: Object) -> list[State]:
    metadata = obj["metadata"]
    try:
        changes = read_changes(access, found, metadata.get("namespace") or "", metadata["name"], STATES)
    except ApiFailure:  # a server that keeps no history: what is now has to do
        changes = []
    states = [
        State(
            each["time"],
            each["user"],
            {"kind": found.kind, **each["object"]} if each["operation"] != "Delete" else None,
        )
        for each in changes
    ]
    return states or [State(_written(metadata), "", obj)]


def _written(metadata: Mapping[str, Any]) -> str:
    """The last time that somebody wrote it, as its managers say."""
    times = [str(each["time"]) for each in metadata.get("managedFields") or () if each.get("time")]
    return max([*times, str(metadata["creationTimestamp"])])


def _placement(root: Object) -> str:
    conditions = (root.get("status") or {}).get("conditions") or ()
    found = next((each for each in conditions if each["type"] == "Placed"), None)
    if found is None:
        by_hand = (root["metadata"].get("labels") or {}).get(CLUSTER_LABEL)
        return f"placed by hand on {by_hand}" if by_hand else "nobody has placed it"
    return f"{found.get('reason')}: {found.get('message')}"


def _clusters(access: ClusterAccess, found: ResourceType, root: Object, leafs: list[Object]) -> list[Object]:
    """Every cluster, what it has and what keeps it from more, as the controllers would decide now."""
    served = {each.full_name: each for each in access.types()}
    if CLUSTERS not in served or CLUSTER_LABEL in (root["metadata"].get("labels") or {}):
        return []
    rules = _rules(access, served)
    now = placed(root, leafs, rules)
    states = [cluster_state(each, found.full_name, told_health(each)) for each in access.items(served[CLUSTERS].path())]
    decision = decide(now, states)
    ruling = chosen(rules, root)
    reason = f"policy {ruling.name}" if ruling is not None else "the default: a share for each cluster"
    return [
        {
            "cluster": name,
            "replicas": now.now.get(name, 0),
            "wanted": decision.replicas.get(name, 0),
            "why": text or reason,
        }
        for name, text in decision.reasons.items()
    ]


def _rules(access: ClusterAccess, served: Mapping[str, ResourceType]) -> list[PlacementRules]:
    rules = []
    for each in served.values():
        if each.group == GROUP and each.kind in POLICY_KINDS:
            for policy in access.items(each.path()):
                try:
                    rules.append(read_policy(policy))
                except PolicyFault:
                    continue  # its condition Valid says what is wrong
    return rules


def _events(access: ClusterAccess, root: Object, uids: set[str]) -> list[Object]:
    namespace = root["metadata"].get("namespace") or "default"
    found = [
        {
            "time": each.get("lastTimestamp") or each.get("eventTime"),
            "type": each.get("type"),
            "reason": each.get("reason"),
            "message": each.get("message"),
        }
        for each in access.items(f"/api/v1/namespaces/{namespace}/events")
        if (each.get("involvedObject") or {}).get("uid") in uids
    ]
    return sorted(found, key=lambda row: str(row["time"]))[-20:]
