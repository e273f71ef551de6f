"""`kcp plan`: what the multi-cluster controllers would move where, and why, if something changed. Nothing is written.

The same decisions as the controllers', of the objects as they are now, with the change laid over them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import click

from kcp import cluster_access
from kcp.cluster_access import ClusterAccess, ResourceType
from kcp.manifests import read_manifests
from kcp.output import Refused, document, output_option, table
from kcpsyncer.placement.cluster_states import cluster_state, told_health
from kcpsyncer.placement.leaf_index import LeafIndex
from kcpsyncer.placement.leafs import CLUSTER_LABEL, is_leaf
from kcpsyncer.placement.model import ClusterState
from kcpsyncer.placement.plan import Placed, placed, without
from kcpsyncer.placement.plan import plan as planned
from kcpsyncer.placement.policies import GROUP, PlacementRules, PolicyFault, read_policy

Object = dict[str, Any]
CLUSTERS = "clusters.cluster.example.dev"
KINDS = ("deployments.apps", "replicasets.apps", "statefulsets.apps", "jobs.batch")
POLICY_KINDS = ("PlacementPolicy", "ClusterPlacementPolicy")


class World(NamedTuple):
    """`workloads`: objects with their leafs, by the group resource of their type."""

    clusters: list[Object]
    policies: list[Object]
    workloads: list[tuple[str, Object, list[Object]]]


@click.command()
@click.option("-f", "--filename", "files", multiple=True, metavar="FILE|DIR|-")
@click.option("--scale", "scaled", multiple=True, metavar="TYPE/NAME=REPLICAS", help="As if it were scaled.")
@click.option("--lose", "lost", multiple=True, metavar="CLUSTER", help="As if the cluster died.")
@click.option("--drain", "drained", multiple=True, metavar="CLUSTER", help="As if it were drained.")
@cluster_access.namespace_option
@output_option
@cluster_access.kubeconfig_option
@cluster_access.context_option
@cluster_access.cluster_option
def plan(
    files: Sequence[str],
    scaled: Sequence[str],
    lost: Sequence[str],
    drained: Sequence[str],
    namespace: str | None,
    form: str,
    kubeconfig: str | None,
    context: str | None,
    cluster: str | None,
) -> None:
    """Tell which replicas would move where, and why. Policies (and Clusters) of FILE count as if they were applied.

    Without a change: what the controllers are about to do. Exits with 1 if replicas would have no place.
    """
    access = cluster_access.connect(kubeconfig, context, cluster)
    edits = [each.object for each in read_manifests(files)] if files else []
    world = with_edits(read_world(access), edits, namespace or access.namespace)
    found = decide(world, [_scaling(access, text, namespace or access.namespace) for text in scaled], lost, drained)
    if form == "table":
        click.echo(table(found["moves"]) if found["moves"] else "Nothing would move.\n", nl=False)
        for key, why in found["missing"].items():
            click.echo(f"{key}: {why}")
    else:
        click.echo(document(found, form), nl=False)
    if found["missing"]:
        raise SystemExit(1)


# --- what there is


def read_world(access: ClusterAccess) -> World:
    """Raises Refused where there are no clusters."""
    served = {each.full_name: each for each in access.types()}
    if CLUSTERS not in served:
        raise Refused("no clusters are defined in this logical cluster")
    policies = [
        {**each, "kind": found.kind}
        for found in served.values()
        if found.group == GROUP and found.kind in POLICY_KINDS
        for each in access.items(found.path())
    ]
    workloads = [entry for name in KINDS if name in served for entry in _workloads(access, served[name])]
    return World(list(access.items(served[CLUSTERS].path())), policies, workloads)


def _workloads(access: ClusterAccess, found: ResourceType) -> Iterator[tuple[str, Object, list[Object]]]:
    objects = [{**each, "kind": found.kind, "apiVersion": found.api_version} for each in access.items(found.path())]
    leafs = LeafIndex()
    for each in objects:
        leafs.change(None, each)
    for each in objects:
        metadata = each["metadata"]
        controlled = any(owner.get("controller") for owner in metadata.get("ownerReferences") or ())
        by_hand = CLUSTER_LABEL in (metadata.get("labels") or {})
        if not (is_leaf(each) or controlled or by_hand or metadata.get("deletionTimestamp")):
            yield found.full_name, each, leafs.of(each)


# --- what would be


def with_edits(world: World, edits: Iterable[Mapping[str, Any]], namespace: str) -> World:
    """Policies and Clusters of a file in the place of those with their names. Raises Refused."""
    policies = {_name(each): each for each in world.policies}
    clusters = {each["metadata"]["name"]: each for each in world.clusters}
    for edit in edits:
        kind, metadata = edit.get("kind"), dict(edit.get("metadata") or {})
        if kind in POLICY_KINDS:
            if kind == "PlacementPolicy":
                metadata.setdefault("namespace", namespace)
            made: Object = {**edit, "metadata": metadata}
            policies[_name(made)] = made
        elif kind == "Cluster":
            known = clusters.get(str(metadata.get("name")), {})
            clusters[str(metadata.get("name"))] = {**edit, "metadata": metadata, "status": known.get("status") or {}}
        else:
            raise Refused(f"{kind} is neither a placement policy nor a Cluster: nothing can be planned with it")
    return World(list(clusters.values()), list(policies.values()), world.workloads)


def _name(policy: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(policy["kind"]), policy["metadata"].get("namespace") or "", policy["metadata"]["name"]


def _scaling(access: ClusterAccess, text: str, namespace: str) -> tuple[str, str, str, int]:
    what, equals, number = text.partition("=")
    kind, name = cluster_access.split_name(what)
    if not equals or not number.isdecimal():
        raise Refused(f'"{text}" names no number of replicas: write TYPE/NAME=REPLICAS')
    return access.find_type(kind).full_name, namespace, name, int(number)


def decide(
    world: World,
    scaled: Sequence[tuple[str, str, str, int]] = (),
    lost: Sequence[str] = (),
    drained: Sequence[str] = (),
) -> Object:
    """`moves`: rows; `missing`: why replicas have no place, by workload. Raises Refused."""
    rules = [_rules(each) for each in world.policies]
    known = {each["metadata"]["name"] for each in world.clusters}
    if unknown := sorted({*lost, *drained} - known):
        raise Refused(f"there is no cluster {', '.join(unknown)}")
    scales = {entry[:3]: entry[3] for entry in scaled}
    found: Object = {"moves": [], "missing": {}}
    for name in sorted({entry[0] for entry in world.workloads}):
        workloads = [
            _scaled(placed(root, leafs, rules), name, root, scales)
            for kind, root, leafs in world.workloads
            if kind == name
        ]
        part = planned(workloads, _states(world, name, lost, drained))
        found["moves"] += [move._asdict() for move in part.moves]
        found["missing"].update(part.missing)
    if scales:
        raise Refused(f"there is no workload {' or '.join('/'.join(key) for key in scales)}")
    return found


def _scaled(given: Placed, name: str, root: Object, scales: dict[tuple[str, str, str], int]) -> Placed:
    count = scales.pop((name, root["metadata"].get("namespace") or "", root["metadata"]["name"]), None)
    return given if count is None else replace(given, workload=replace(given.workload, replicas=count))


def _rules(policy: Object) -> PlacementRules:
    try:
        return read_policy(policy)
    except PolicyFault as fault:
        raise Refused(f"policy {policy['metadata']['name']}: {fault}") from fault


def _states(world: World, name: str, lost: Sequence[str], drained: Sequence[str]) -> list[ClusterState]:
    states = [cluster_state(each, name, told_health(each)) for each in world.clusters]
    for each in lost:
        states = without(states, each)
    return [replace(state, is_draining=True) if state.name in drained else state for state in states]
