"""`kcp compat OLD NEW…`: does a newer definition accept what an older one does; with --lcd, what all of them accept."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import yaml

from kcp.output import Refused
from kcpshard.schema.compatibility import Difference, compare
from kcpshard.schema.forecast import Forecast, forecast

Document = dict[str, Any]
_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE, nargs=-1, required=True)
@click.option("--lcd", is_flag=True, help="Print the definition that all of them accept, instead of refusing OLD's.")
@click.option("--objects", type=_FILE, help="Stored objects (YAML or JSON, also a List): which would become invalid.")
@click.option(
    "-o", "--output", "form", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True, help="Of --lcd."
)
def compat(old: Path, new: tuple[Path, ...], lcd: bool, objects: Path | None, form: str) -> None:
    """Compare CustomResourceDefinitions: is whatever OLD accepts accepted, and kept whole, by every NEW?

    Exits with 1 if not; with --lcd only if there is nothing that all accept. Differences are on standard error.
    """
    first = _definition(old)
    others = {str(path): _definition(path) for path in new}
    stored = _objects(objects) if objects else []
    differences: list[Difference] = []
    blocked = False
    for version in _versions(first):
        schemas = {path: _schema(other, version["name"]) for path, other in others.items()}
        found = _forecast(version, schemas, stored, _kind(first))
        blocked = blocked or bool(found.blocked_by)
        differences += _tell(found)
        version["schema"]["openAPIV3Schema"] = found.schema
    if lcd and not blocked:
        click.echo(yaml.safe_dump(first, sort_keys=False) if form == "yaml" else json.dumps(first, indent=2), nl=False)
    if blocked or (differences and not lcd):
        raise Refused(f"{old} is not compatible with {', '.join(others)}")


def _forecast(version: Document, schemas: Mapping[str, Any], stored: Sequence[Document], kind: str) -> Forecast:
    start = version["schema"]["openAPIV3Schema"]
    served = {path: schema for path, schema in schemas.items() if schema is not None}
    found = forecast(start, served, stored, kind)
    missing = {path: compare(start, None, kind).conflicts for path in schemas if path not in served}
    return found._replace(blocked_by={**found.blocked_by, **missing})


def _tell(found: Forecast) -> list[Difference]:
    """On standard error; those that count."""
    for source, differences in found.blocked_by.items():
        for difference in differences:
            click.echo(f"{source} blocks: {difference}", err=True)
    for source, differences in found.costs.items():
        for difference in differences:
            click.echo(f"{source}: {difference}", err=True)
    for each in found.invalid:
        lost = f"loses {', '.join(each.lost)}" if each.lost else ""
        click.echo(f"{each.name} {'; '.join(filter(None, [lost, *each.faults]))}", err=True)
    return [
        each for source in (found.blocked_by, found.costs) for differences in source.values() for each in differences
    ]


def _definition(path: Path) -> Document:
    try:
        found = yaml.safe_load(path.read_bytes())
    except yaml.YAMLError as fault:
        raise Refused(f"{path} is not YAML: {fault}") from None
    match found:
        case {
            "kind": "CustomResourceDefinition",
            "apiVersion": "apiextensions.k8s.io/v1",
            "spec": {"versions": [_, *_]},
        }:
            return dict(found)
    raise Refused(f"{path} is not a CustomResourceDefinition of apiextensions.k8s.io/v1")


def _versions(definition: Document) -> list[Document]:
    found = [each for each in definition["spec"]["versions"] if (each.get("schema") or {}).get("openAPIV3Schema")]
    if not found:
        raise Refused("no version has a schema")
    return found


def _schema(definition: Document, version: str) -> Any:
    for each in definition["spec"]["versions"]:
        if each["name"] == version and each.get("served", True):
            return (each.get("schema") or {}).get("openAPIV3Schema")
    return None


def _kind(definition: Document) -> str:
    return str(definition["spec"]["names"]["kind"])


def _objects(path: Path) -> list[Document]:
    try:
        documents = list(yaml.safe_load_all(path.read_bytes()))
    except yaml.YAMLError as fault:
        raise Refused(f"{path} is not YAML: {fault}") from None
    found: list[Document] = []
    for document in documents:
        if isinstance(document, dict):
            found += document["items"] if isinstance(document.get("items"), list) else [document]
    return found
