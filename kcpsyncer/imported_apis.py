"""APIResourceImport, an API as a cluster serves it, and NegotiatedAPIResource, as a logical cluster offers it. Pure."""

from collections.abc import Mapping
from typing import Any

from kcpshard.schema.pulled_apis import PulledApi

Object = dict[str, Any]
Raw = Mapping[str, Any]
GROUP, VERSION = "apiresource.kcp.dev", "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
CLUSTER_API_VERSION = "cluster.example.dev/v1alpha1"
IMPORTS, NEGOTIATED = "apiresourceimports", "negotiatedapiresources"
VERSION_ANNOTATION = "apiresource.kcp.dev/apiVersion"  # for the column "API Version"
LOCATION_LABEL = "kcp.dev/location"  # on imports, so that an agent sees only its own
NEVER, UNPUBLISHED, PUBLISHED = "UpdateNever", "UpdateUnpublished", "UpdatePublished"


def group_name(group: str) -> str:
    return group or "core"


def import_name(api: PulledApi, location: str) -> str:
    return f"{api.plural}.{location}.{api.version}.{group_name(api.group)}"


def negotiated_name(group: str, version: str, plural: str) -> str:
    return f"{plural}.{version}.{group_name(group)}"


def api_of(obj: Raw) -> PulledApi:
    """What the spec of either kind says. The name "core" means the group without one."""
    spec = obj["spec"]
    group_version = spec["groupVersion"]
    group = group_version.get("group") or ""
    kind = spec["kind"]
    return PulledApi(
        "" if group == "core" else group,
        group_version["version"],
        spec["plural"],
        spec.get("singular") or kind.lower(),
        kind,
        spec.get("listKind") or f"{kind}List",
        spec.get("scope") or "Namespaced",
        tuple(spec.get("shortNames") or ()),
        tuple(spec.get("categories") or ()),
        tuple(each["name"] for each in spec.get("subResources") or ()),
        spec["openAPIV3Schema"],
        tuple(_column(each) for each in spec.get("columnDefinitions") or ()),
    )


def spec_of(api: PulledApi) -> Object:
    """What both kinds have in common."""
    group_version = {"group": api.group, "version": api.version} if api.group else {"version": api.version}
    spec: Object = {
        "groupVersion": group_version,
        "scope": api.scope,
        "plural": api.plural,
        "singular": api.singular,
        "kind": api.kind,
        "listKind": api.list_kind,
        "openAPIV3Schema": api.schema,
    }
    for key, values in (("shortNames", api.short_names), ("categories", api.categories)):
        if values:
            spec[key] = list(values)
    if api.subresources:
        spec["subResources"] = [{"name": name} for name in api.subresources]
    if api.columns:
        spec["columnDefinitions"] = [
            {"format": "", "description": "", "priority": 0, **column} for column in api.columns
        ]
    return spec


def import_of(api: PulledApi, cluster: Raw) -> Object:
    """As the importer makes it, owned by its Cluster."""
    metadata = cluster["metadata"]
    owner = {
        "apiVersion": CLUSTER_API_VERSION,
        "kind": "Cluster",
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "APIResourceImport",
        "metadata": {
            "name": import_name(api, metadata["name"]),
            "labels": {LOCATION_LABEL: metadata["name"]},
            "annotations": {VERSION_ANNOTATION: _api_version(api)},
            "ownerReferences": [owner],
        },
        "spec": {**spec_of(api), "location": metadata["name"], "schemaUpdateStrategy": UNPUBLISHED},
    }


def negotiated_of(api: PulledApi, publish: bool) -> Object:
    spec = spec_of(api)
    if publish:
        spec["publish"] = True
    return {
        "apiVersion": API_VERSION,
        "kind": "NegotiatedAPIResource",
        "metadata": {
            "name": negotiated_name(api.group, api.version, api.plural),
            "annotations": {VERSION_ANNOTATION: _api_version(api)},
        },
        "spec": spec,
    }


def _api_version(api: PulledApi) -> str:
    return f"{api.group}/{api.version}" if api.group else api.version


def _column(each: Raw) -> Object:
    return {key: value for key, value in each.items() if value not in ("", 0, None) or key in ("name", "type")}
