"""`kcp syncer join NAME`: what a physical cluster needs so that its agent calls us."""

import secrets
import string
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import click
import yaml

from kcp import cluster_access
from kcp.cluster_access import ClusterAccess
from kcp.output import Refused

Object = dict[str, Any]
IMAGE = "ghcr.io/kcp-python/kcp:latest"
_CLUSTERS = "/apis/cluster.example.dev/v1alpha1/clusters"
_LETTERS = string.ascii_lowercase + string.digits


@click.group()
def syncer() -> None:
    """Agents of physical clusters that call us."""


@syncer.command()
@click.argument("name")
@click.option(
    "--resource",
    "resources",
    multiple=True,
    metavar="RESOURCE[.GROUP]",
    help="What it may carry [default: as the Cluster says, else pods and deployments.apps].",
)
@click.option("--server", metavar="URL", help="Where the fronts are for the physical cluster, if not as for you.")
@click.option("--image", default=IMAGE, show_default=True, help="What the agent runs.")
@click.option("--hours", type=click.FloatRange(0.1, 72), default=1.0, show_default=True, help="That the token is good.")
@click.option("--apply", "to", metavar="FILE", help="Kubeconfig of the physical cluster: apply it there.")
@cluster_access.kubeconfig_option
@cluster_access.context_option
@cluster_access.cluster_option
def join(
    name: str,
    resources: tuple[str, ...],
    server: str | None,
    image: str,
    hours: float,
    to: str | None,
    kubeconfig: str | None,
    context: str | None,
    cluster: str | None,
) -> None:
    """Print the manifest of the agent for the Cluster NAME; register it without a kubeconfig if it does not exist.

    The manifest contains a token with which the agent asks for its certificate, once, within --hours.
    """
    from kcpsyncer.join_manifest import Joining, manifest, token_secret

    access = cluster_access.connect(kubeconfig, context, cluster)
    found = _registered(access, name, resources)
    id_, secret = (_random(length) for length in (6, 16))
    expires = datetime.now(UTC) + timedelta(hours=hours)
    access.request("POST", "/api/v1/namespaces/kube-system/secrets", body=token_secret(id_, secret, found, expires))
    joining = Joining(
        name,
        found["metadata"]["uid"],
        _path(access.server),
        server.rstrip("/") if server else access.server,
        Path(access.authority_file).read_text() if access.authority_file else "",
        tuple(found["spec"].get("resources") or resources or ("pods", "deployments.apps")),
        image,
    )
    made = manifest(joining, f"{id_}.{secret}")
    if to is None:
        click.echo(yaml.safe_dump_all(made, sort_keys=False), nl=False)
    else:
        _apply(cluster_access.connect(to, None, None), made)


def _registered(access: ClusterAccess, name: str, resources: tuple[str, ...]) -> Object:
    found = access.get(f"{_CLUSTERS}/{name}")
    if found is None:
        spec: Object = {"resources": list(resources)} if resources else {}
        body: Object = {"apiVersion": "cluster.example.dev/v1alpha1", "kind": "Cluster", "spec": spec}
        body["metadata"] = {"name": name}
        return access.request("POST", _CLUSTERS, body=body)
    if found["spec"].get("kubeconfig") or found["spec"].get("kubeconfigSecretRef"):
        raise Refused(f"Cluster {name} is one that we call: its spec has a kubeconfig")
    return found


def _apply(physical: ClusterAccess, made: list[Object]) -> None:
    for obj in made:
        group = obj["apiVersion"].partition("/")[0] if "/" in obj["apiVersion"] else ""
        kind = physical.find_type(f"{obj['kind'].lower()}.{group}" if group else obj["kind"].lower())
        metadata = obj["metadata"]
        path = kind.path(metadata.get("namespace") or "", metadata["name"])
        query = {"fieldManager": "kcp", "force": "true"}
        physical.request("PATCH", path, query, body=obj, content_type="application/apply-patch+yaml")
        click.echo(f"{obj['kind'].lower()}/{metadata['name']} applied")


def _path(server: str) -> str:
    _, found, path = server.partition("/clusters/")
    return unquote(path.strip("/")) if found else "root"


def _random(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))
