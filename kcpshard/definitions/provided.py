"""The types of kcp's own API groups, which every logical cluster serves: custom resource types that nobody defines.

Each is a file in data/provided: a JSON object with `name` and `spec` of a CustomResourceDefinition. One more file is
one more type, with discovery, OpenAPI, validation and columns. Schemas are compiled when a type is first used.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources

import orjson

from kcpshard.api.version_order import version_priority
from kcpshard.definitions.contract import Object, Resource
from kcpshard.definitions.crd_documents import summary
from kcpshard.definitions.custom_resources import Definition
from kcpshard.definitions.export_conversion import GROUP, converted
from kcpshard.definitions.openapi import V2, group_version_path

Place = tuple[str, str, str]  # group, version, plural


@cache
def documents() -> Mapping[str, Object]:
    """The definitions by name, as if they were stored and established."""
    folder = resources.files(__package__).joinpath("data/provided")
    found = [orjson.loads(each.read_bytes()) for each in folder.iterdir() if each.name.endswith(".json")]
    return {each["name"]: _established(each) for each in sorted(found, key=lambda each: str(each["name"]))}


def _established(each: Object) -> Object:
    spec = each["spec"]
    conditions = [{"type": type_, "status": "True"} for type_ in ("NamesAccepted", "Established")]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": each["name"]},
        "spec": spec,
        "status": {"acceptedNames": spec["names"], "conditions": conditions},
    }


class _Exports(Definition):
    """Of types whose versions differ in more than the name."""

    __slots__ = ()

    def convert(self, obj: Object, wanted: Resource) -> Object:
        return super().convert({**converted(obj, wanted.api_version), "apiVersion": wanted.api_version}, wanted)


def _definition(document: Object) -> Definition:
    return (_Exports if document["spec"]["group"] == GROUP else Definition)(summary(document))


class ProvidedTypes:
    """One catalogue's: resource types are values of their own, because loading fills them in."""

    def __init__(self) -> None:
        definitions = [_definition(each) for each in documents().values()]
        order = lambda r: (r.group, version_priority(r.version), r.plural)  # noqa: E731
        found = [resource for each in definitions for resource in each.resources.values()]
        self.resources: Sequence[Resource] = sorted(found, key=order)
        self._places: Mapping[Place, Resource] = {(r.group, r.version, r.plural): r for r in self.resources}

    def find(self, place: Place) -> Resource | None:
        found = self._places.get(place)
        if found is not None and found.schema is None:
            definition: Definition = found.definition
            definition.load(documents()[definition.summary.name])
        return found


@cache
def document_digests() -> Mapping[str, Sequence[str]]:
    """The OpenAPI documents in which provided types are described: path → the digests of their definitions."""
    found: dict[str, dict[str, None]] = {}
    for each in ProvidedTypes().resources:
        for path in (V2, group_version_path(each)):
            found.setdefault(path, {})[each.definition.digest] = None
    return {path: tuple(sorted(digests)) for path, digests in found.items()}
