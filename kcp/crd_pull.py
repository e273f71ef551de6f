"""`kcp crd-pull [RESOURCE…]`: the APIs of a cluster as CustomResourceDefinitions, one file each."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import yaml

from kcp import cluster_access
from kcp.cluster_access import ApiFailure, ClusterAccess
from kcp.output import Refused, os_sentence
from kcpshard.schema.pulled_apis import (
    Discovered,
    PulledApi,
    definition_of,
    discovered,
    of_definition,
    of_openapi,
    wanted,
)

_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@click.command("crd-pull")
@click.argument("resources", nargs=-1, metavar="[RESOURCE[.GROUP]]…")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    show_default=True,
    help="Where the files are written, as resource.group.yaml.",
)
@cluster_access.kubeconfig_option
@cluster_access.context_option
@cluster_access.cluster_option
def crd_pull(
    resources: tuple[str, ...], directory: Path, kubeconfig: str | None, context: str | None, cluster: str | None
) -> None:
    """Write the APIs that a cluster serves as CustomResourceDefinitions; without RESOURCE all of them."""
    access = cluster_access.connect(kubeconfig, context, cluster)
    found = list(pull(access, resources))
    missing = [name for name in resources if not any(name in (a.group_resource, a.plural) for a in found)]
    for api in found:
        path = directory / f"{api.group_resource}.yaml"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            path.write_text(yaml.safe_dump(definition_of(api), sort_keys=False))
        except OSError as fault:
            raise Refused(os_sentence("cannot write", fault)) from fault
        click.echo(path)
    if missing:
        raise Refused(f"the cluster has no schema of {', '.join(missing)}")


def pull(access: ClusterAccess, resources: Sequence[str]) -> Iterator[PulledApi]:
    """Types that neither a CRD nor OpenAPI describes are told of and left out."""
    documents: dict[str, Any] = {}
    for found in wanted(_types(access), resources):
        api = _pulled(access, found, documents)
        if api is None:
            click.echo(f"kcp: nothing describes {found.group_resource}: left out", err=True)
        else:
            yield api


def _types(access: ClusterAccess) -> Iterator[Discovered]:
    for root in ("/api", "/apis"):
        yield from discovered(access.request("GET", root, accept=_DISCOVERY))


def _pulled(access: ClusterAccess, found: Discovered, documents: dict[str, Any]) -> PulledApi | None:
    definition = access.get(f"{_DEFINITIONS}/{found.plural}.{found.group or 'core'}")
    if definition is not None:
        return of_definition(found, definition)
    path = f"/openapi/v3/apis/{found.group}/{found.version}" if found.group else f"/openapi/v3/api/{found.version}"
    if path not in documents:
        try:
            documents[path] = access.request("GET", path)
        except ApiFailure as failure:
            if failure.code != 404:
                raise
            path = "/openapi/v2"  # before 1.24 there is no other
            documents.setdefault(path, access.request("GET", path))
    return of_openapi(found, documents[path])
