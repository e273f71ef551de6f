"""The documents by which clients find out what is served: /api, /apis, their groups and versions, and both aggregated.

Pure: resources in, values and bytes out. Order: resources come in the order of their groups' priority and their
versions' preference, as kube-apiserver lists them; within a version legacy lists are alphabetical.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from kcpshard.definitions.contract import Document, Resource, Subresource

AGGREGATED_VERSIONS = ("v2", "v2beta1")


def aggregated_version(accept: str) -> str:
    """Which aggregated form a media type asks for: "v2", "v2beta1", or "" for the legacy documents."""
    parameters = dict(part.strip().partition("=")[::2] for part in accept.split(";")[1:])
    if parameters.get("as") != "APIGroupDiscoveryList" or parameters.get("g") != "apidiscovery.k8s.io":
        return ""
    version = parameters.get("v", "")
    return version if version in AGGREGATED_VERSIONS else ""


def entity_tag(body: bytes) -> str:
    """A strong ETag, as kube-apiserver makes it: SHA-512 in upper case hexadecimal, quoted."""
    return f'"{hashlib.sha512(body).hexdigest().upper()}"'


def storage_version_hash(group: str, version: str, kind: str) -> str:
    """Of a type stored in that version (apiserver `StorageVersionHash`)."""
    return base64.b64encode(hashlib.sha256(f"{group}/{version}/{kind}".encode()).digest()[:8]).decode()


def discovery_document(resources: Sequence[Resource], path: str, aggregated: str) -> Document | None:
    """The document at `path`, None if there is none. `aggregated` is what `aggregated_version` found; only /api and
    /apis have such a form."""
    if aggregated and path in ("/api", "/apis"):
        body = orjson.dumps(_aggregated([r for r in resources if (r.group == "") == (path == "/api")], aggregated))
        media_type = f"application/json;g=apidiscovery.k8s.io;v={aggregated};as=APIGroupDiscoveryList"
        return Document(200, body, entity_tag(body), media_type)
    found = _legacy(resources, [p for p in path.split("/") if p])
    return Document(200, orjson.dumps(found)) if found else None


def _legacy(resources: Sequence[Resource], segments: list[str]) -> dict[str, Any] | None:
    match segments:
        case ["api"]:
            return _core_versions(resources)
        case ["apis"]:
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": _groups(resources)}
        case ["apis", group]:
            found = [g for g in _groups(resources) if g["name"] == group]
            return {"kind": "APIGroup", "apiVersion": "v1", **found[0]} if found else None
        case ["api", version]:
            return _resource_list(resources, "", version)
        case ["apis", group, version]:
            return _resource_list(resources, group, version)
    return None


def _versions(resources: Iterable[Resource]) -> dict[str, list[str]]:
    """Group → versions, both in discovery order."""
    found: dict[str, list[str]] = {}
    for resource in resources:
        versions = found.setdefault(resource.group, [])
        if resource.version not in versions:
            versions.append(resource.version)
    return found


def _core_versions(resources: Sequence[Resource]) -> dict[str, Any]:
    """The server's address is left out: a front does not know by which one the client came."""
    versions = _versions(resources).get("", [])
    return {"kind": "APIVersions", "versions": versions, "serverAddressByClientCIDRs": []}


def _groups(resources: Sequence[Resource]) -> list[dict[str, Any]]:
    groups = []
    for group, versions in _versions(resources).items():
        if group:
            listed = [{"groupVersion": f"{group}/{v}", "version": v} for v in versions]
            groups.append({"name": group, "versions": listed, "preferredVersion": listed[0]})
    return groups


def _resource_list(resources: Sequence[Resource], group: str, version: str) -> dict[str, Any] | None:
    served = [r for r in resources if r.group == group and r.version == version]
    if not served:
        return None
    entries = [e for r in served for e in _legacy_entries(r)]
    return {
        "kind": "APIResourceList",
        **({"apiVersion": "v1"} if group else {}),  # kube-apiserver's quirk, which old clients were built against
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": sorted(entries, key=lambda e: str(e["name"])),
    }


def _legacy_entries(resource: Resource) -> list[dict[str, Any]]:
    entry: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": _verbs(resource),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.storage_version_hash:
        entry["storageVersionHash"] = resource.storage_version_hash
    return [entry, *(_legacy_subresource(resource, s) for s in resource.subresources.values())]


def _verbs(resource: Resource) -> list[str]:
    """A custom type that is going is shown with what still makes sense, though updates are answered until the end."""
    if resource.definition is not None and resource.definition.summary.terminating:
        return sorted(resource.verbs - {"create", "patch", "update"})
    return sorted(resource.verbs)


def _legacy_subresource(resource: Resource, subresource: Subresource) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": f"{resource.plural}/{subresource.name}",
        "singularName": "",
        "namespaced": resource.namespaced,
    }
    if subresource.version:
        entry |= {"group": subresource.group, "version": subresource.version}
    return entry | {"kind": subresource.kind or resource.kind, "verbs": list(subresource.verbs)}


def _aggregated(resources: Sequence[Resource], version: str) -> dict[str, Any]:
    items = []
    for group, versions in _versions(resources).items():
        listed = [
            {
                "version": v,
                "resources": [_aggregated_entry(r) for r in resources if r.group == group and r.version == v],
                "freshness": "Current",
            }
            for v in versions
        ]
        items.append({"metadata": {"name": group} if group else {}, "versions": listed})
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": items,
    }


def _aggregated_entry(resource: Resource) -> dict[str, Any]:
    """An empty group and version in a responseKind mean those of the enclosing entry."""
    entry: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": {"group": "", "version": "", "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": _verbs(resource),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        entry["subresources"] = [_aggregated_subresource(resource, s) for s in resource.subresources.values()]
    return entry


def _aggregated_subresource(resource: Resource, subresource: Subresource) -> dict[str, Any]:
    kind = {"group": subresource.group, "version": subresource.version, "kind": subresource.kind or resource.kind}
    return {"subresource": subresource.name, "responseKind": kind, "verbs": list(subresource.verbs)}
