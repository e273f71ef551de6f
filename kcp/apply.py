"""`kcp apply --atomic`: all objects of some manifests in one commit, or none of them."""

from typing import Any

import click

from kcp import cluster_access
from kcp.cluster_access import ApiFailure, ClusterAccess
from kcp.manifests import Manifest, Object, read_manifests
from kcp.output import Refused

API_VERSION = "changes.kcp.io/v1alpha1"
PATH = f"/apis/{API_VERSION}/transactions"
_OUTCOMES = {"Created": "created", "Configured": "serverside-applied", "Unchanged": "unchanged", "Deleted": "deleted"}


@click.command()
@click.option("--atomic", is_flag=True, help="All objects in one commit, or none.")
@click.option("-f", "--filename", "paths", multiple=True, required=True, metavar="FILE", help="File, directory or -.")
@click.option("-R", "--recursive", is_flag=True, help="Directories below directories too.")
@cluster_access.namespace_option
@click.option("--force-conflicts", is_flag=True, help="Take over fields that other managers own.")
@click.option("--field-manager", default="kubectl", show_default=True, help="Who is to own the fields.")
@click.option("--validate", type=click.Choice(["strict", "warn", "ignore"]), default="strict", show_default=True)
@click.option("--dry-run", type=click.Choice(["none", "server"]), default="none", is_flag=False, flag_value="server")
@click.option("-o", "--output", "form", type=click.Choice(["text", "name", "json", "yaml"]), default="text")
@cluster_access.kubeconfig_option
@cluster_access.context_option
@cluster_access.cluster_option
def apply(
    atomic: bool,
    paths: tuple[str, ...],
    recursive: bool,
    namespace: str | None,
    force_conflicts: bool,
    field_manager: str,
    validate: str,
    dry_run: str,
    form: str,
    kubeconfig: str | None,
    context: str | None,
    cluster: str | None,
) -> None:
    """Apply several objects of one logical cluster at once.

    \b
    kcp apply --atomic -f dir/
    kubectl kustomize overlays/prod | kcp apply --atomic -f -

    It is server-side apply. If one object is refused nothing is changed, and nobody ever sees a part of it. An object
    with metadata.resourceVersion or uid is applied only if it still has them.
    """
    if not atomic:
        raise Refused("kcp apply is all or nothing: say so with --atomic, or use kubectl apply")
    access = cluster_access.connect(kubeconfig, context, cluster)
    manifests = read_manifests(paths, recursive)
    _place(access, manifests, namespace)
    query = {"fieldManager": field_manager, "fieldValidation": validate.capitalize()}
    if dry_run == "server":
        query["dryRun"] = "All"
    document = transaction([{"verb": "Apply", "object": m.object, "force": force_conflicts} for m in manifests])
    try:
        answer = access.request("POST", PATH, query, document)
    except ApiFailure as failure:
        raise Refused(_told(failure, manifests)) from failure
    click.echo(shown(answer, form, " (server dry run)" if dry_run == "server" else ""), nl=False)


def transaction(operations: list[Object]) -> Object:
    return {"apiVersion": API_VERSION, "kind": "Transaction", "spec": {"operations": operations}}


def _place(access: ClusterAccess, manifests: list[Manifest], namespace: str | None) -> None:
    """Give each object of a namespaced type its namespace. Raises Refused where the two say different ones."""
    types = {(found.api_version, found.kind): found for found in access.types()}
    for source, obj in manifests:
        found = types.get((obj["apiVersion"], obj["kind"]))
        if found is None:
            for version in (t for t in access.types() if t.kind == obj["kind"]):
                found = version if version.group == str(obj["apiVersion"]).rpartition("/")[0] else found
        if found is None or not found.namespaced:
            continue  # the server says what it does not know
        given = obj["metadata"].get("namespace")
        if given and namespace and given != namespace:
            raise Refused(f"{source}: the namespace {given} of {obj['kind']} is not the one asked for, {namespace}")
        obj["metadata"]["namespace"] = given or namespace or access.namespace


def _told(failure: ApiFailure, manifests: list[Manifest]) -> str:
    """The server's sentence, and the file of each object that it names."""
    files = []
    for cause in (failure.status.get("details") or {}).get("causes") or ():
        field = str(cause.get("field") or "")
        number = field.removeprefix("spec.operations[").partition("]")[0]
        if field.startswith("spec.operations[") and number.isdigit() and int(number) < len(manifests):
            source, obj = manifests[int(number)]
            files.append(f"  {source}: {obj['kind']} {obj['metadata'].get('name', '')}")
    return "\n".join([f"nothing was applied. {failure.message}", *dict.fromkeys(files)])


def shown(answer: Object, form: str, suffix: str = "") -> str:
    results: list[Any] = answer["status"]["results"]
    if form == "json":
        import json

        return (
            json.dumps({"apiVersion": "v1", "kind": "List", "items": [r["object"] for r in results]}, indent=2) + "\n"
        )
    if form == "yaml":
        import yaml

        items = [result["object"] for result in results]
        return str(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items}, sort_keys=False))
    lines = []
    for result in results:
        obj = result["object"]
        group = obj["apiVersion"].rpartition("/")[0]
        name = f"{obj['kind'].lower()}{'.' + group if group else ''}/{obj['metadata']['name']}"
        lines.append(name if form == "name" else f"{name} {_OUTCOMES.get(result['outcome'], '?')}{suffix}")
    return "\n".join(lines) + "\n"
