"""APIs as a foreign cluster serves them, out of its discovery, OpenAPI and CRD documents, and the CRD of each. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from kcpshard.schema.openapi_import import definition_name, definitions_of, structural_schema

Raw = Mapping[str, Any]
APPROVAL = "api-approved.kubernetes.io"
_APPROVED = "https://github.com/kcp-dev/kubernetes/pull/4"
ANY_SCHEMA: Raw = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
# Of built-in kinds no cluster tells the columns by path.
_SCALE = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}


class PulledApi(NamedTuple):
    """One resource in one version. `columns` and `subresources` as a CRD writes them."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    list_kind: str
    scope: str  # Namespaced or Cluster
    short_names: tuple[str, ...]
    categories: tuple[str, ...]
    subresources: tuple[str, ...]  # status, scale
    schema: Raw
    columns: tuple[Raw, ...] = ()

    @property
    def group_resource(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def definition_name(self) -> str:
        """Of the CRD; of the core group, whose name is empty, plural.core."""
        return f"{self.plural}.{self.group or 'core'}"


class Discovered(NamedTuple):
    """A resource type of an aggregated discovery document, in its preferred version."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    verbs: frozenset[str]
    short_names: tuple[str, ...]
    categories: tuple[str, ...]
    subresources: tuple[str, ...]

    @property
    def group_resource(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


def discovered(document: Raw) -> Iterator[Discovered]:
    """The types of an APIGroupDiscoveryList (`/api` or `/apis`), each in the first version that serves it."""
    for group in document.get("items") or ():
        name = (group.get("metadata") or {}).get("name") or ""
        seen = set()
        for version in group.get("versions") or ():
            for each in version.get("resources") or ():
                if each["resource"] not in seen:
                    seen.add(each["resource"])
                    yield _discovered(name, version["version"], each)


def _discovered(group: str, version: str, each: Raw) -> Discovered:
    return Discovered(
        group,
        version,
        each["resource"],
        each.get("singularResource") or "",
        (each.get("responseKind") or {}).get("kind") or "",
        each.get("scope") == "Namespaced",
        frozenset(each.get("verbs") or ()),
        tuple(each.get("shortNames") or ()),
        tuple(each.get("categories") or ()),
        tuple(sub["subresource"] for sub in each.get("subresources") or ()),
    )


def legacy_discovered(group: str, document: Raw, preferred: str) -> Iterator[Discovered]:
    """The same out of an APIResourceList, for clusters without aggregated discovery (before 1.26)."""
    resources = document.get("resources") or ()
    names = {each["name"] for each in resources}
    for each in resources:
        plural = each["name"]
        if "/" not in plural:
            yield Discovered(
                group,
                preferred,
                plural,
                each.get("singularName") or "",
                each["kind"],
                bool(each.get("namespaced")),
                frozenset(each.get("verbs") or ()),
                tuple(each.get("shortNames") or ()),
                tuple(each.get("categories") or ()),
                tuple(sub for sub in ("status", "scale") if f"{plural}/{sub}" in names),
            )


def wanted(types: Iterable[Discovered], names: Sequence[str]) -> list[Discovered]:
    """Those called `resource.group` or `resource`; all that can be listed if none are named."""
    if not names:
        return [each for each in types if {"list", "get"} <= each.verbs]
    return [each for each in types if each.group_resource in names or each.plural in names]


def of_definition(found: Discovered, definition: Raw) -> PulledApi | None:
    """The type as a CRD of that cluster defines it; None: the CRD has no such version."""
    spec = definition["spec"]
    for version in spec.get("versions") or ():
        if version["name"] == found.version:
            schema = (version.get("schema") or {}).get("openAPIV3Schema") or ANY_SCHEMA
            columns = tuple(version.get("additionalPrinterColumns") or ())
            return _pulled(found, ANY_SCHEMA if _is_unstructural(definition) else schema, columns)
    return None


def of_openapi(found: Discovered, document: Raw) -> PulledApi | None:
    """A built-in type; None: the document does not describe its kind."""
    definitions = definitions_of(document)
    name = definition_name(definitions, found.group, found.version, found.kind)
    return None if name is None else _pulled(found, structural_schema(definitions, name), ())


def _pulled(found: Discovered, schema: Raw, columns: tuple[Raw, ...]) -> PulledApi:
    return PulledApi(
        found.group,
        found.version,
        found.plural,
        found.singular or found.kind.lower(),
        found.kind,
        f"{found.kind}List",
        "Namespaced" if found.namespaced else "Cluster",
        found.short_names,
        found.categories,
        tuple(sub for sub in ("status", "scale") if sub in found.subresources),
        schema,
        columns,
    )


def _is_unstructural(definition: Raw) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "NonStructuralSchema" and c.get("status") == "True" for c in conditions)


def definition_of(api: PulledApi) -> dict[str, Any]:
    """A CustomResourceDefinition that serves the API."""
    names: dict[str, Any] = {
        "plural": api.plural,
        "singular": api.singular,
        "kind": api.kind,
        "listKind": api.list_kind,
    }
    names.update(
        {key: list(value) for key, value in (("shortNames", api.short_names), ("categories", api.categories)) if value}
    )
    metadata: dict[str, Any] = {"name": api.definition_name}
    if is_protected(api.group):
        metadata["annotations"] = {APPROVAL: _APPROVED}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": metadata,
        "spec": {
            "group": api.group,
            "scope": api.scope,
            "names": names,
            "versions": [definition_version(api)],
        },
    }


def definition_version(api: PulledApi, storage: bool = True) -> dict[str, Any]:
    """The entry of `spec.versions`."""
    version: dict[str, Any] = {
        "name": api.version,
        "served": True,
        "storage": storage,
        "schema": {"openAPIV3Schema": api.schema},
    }
    subresources: dict[str, Any] = {}
    if "status" in api.subresources:
        subresources["status"] = {}
    if "scale" in api.subresources:
        subresources["scale"] = _SCALE
    if subresources:
        version["subresources"] = subresources
    columns = [column for column in api.columns if column.get("jsonPath")]
    if columns:
        version["additionalPrinterColumns"] = columns
    return version


def is_protected(group: str) -> bool:
    """Groups of Kubernetes itself, whose CRDs need an approval."""
    return any(group == suffix or group.endswith(f".{suffix}") for suffix in ("k8s.io", "kubernetes.io"))
