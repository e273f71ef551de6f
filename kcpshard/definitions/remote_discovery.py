"""Discovery documents of a logical cluster in which other servers answer for some group versions. Pure.

`base` is the document of what is served here, without the group versions that are somebody else's. A server that has
not been reached yet, or not lately, is listed all the same, as in kube-apiserver: in aggregated discovery as Stale.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kcpshard.definitions.local_api_services import group_priority
from kcpshard.definitions.remote_apis import Described, RemoteApi

Json = dict[str, Any]
Told = Callable[[str], Described | None]  # by name of the APIService


def with_groups(groups: list[Json], apis: Iterable[RemoteApi]) -> list[Json]:
    """`groups` of an APIGroupList, in discovery order."""
    found, least = {group["name"]: {**group} for group in groups}, _least(apis)
    for api in _ordered(apis):
        entry = {"groupVersion": f"{api.group}/{api.version}", "version": api.version}
        group = found.setdefault(api.group, {"name": api.group, "versions": []})
        group["versions"] = _placed(group["versions"], entry, api)
        group["preferredVersion"] = group["versions"][0]
    return _in_order(found, least)


def with_aggregated(items: list[Json], apis: Iterable[RemoteApi], told: Told) -> list[Json]:
    """`items` of an APIGroupDiscoveryList."""
    found, least = {item["metadata"].get("name", ""): {**item} for item in items}, _least(apis)
    for api in _ordered(apis):
        described = told(api.name)
        entry: Json = {"version": api.version}
        if described is not None:
            entry["resources"] = _resources(described.resources)
        entry["freshness"] = "Current" if described is not None and api.is_available else "Stale"
        item = found.setdefault(api.group, {"metadata": {"name": api.group}, "versions": []})
        item["versions"] = _placed(item["versions"], entry, api)
    return _in_order(found, least)


def _least(apis: Iterable[RemoteApi]) -> Mapping[str, int]:
    """The highest priority that an APIService of a group claims for it."""
    found: dict[str, int] = {}
    for api in apis:
        found[api.group] = max(found.get(api.group, 0), api.group_priority)
    return found


def _ordered(apis: Iterable[RemoteApi]) -> list[RemoteApi]:
    return sorted(apis, key=lambda api: (api.group, -api.version_priority, api.version))


def _placed(versions: Sequence[Json], entry: Json, api: RemoteApi) -> list[Json]:
    """Those of definitions have priority 100."""
    return [*versions, entry] if api.version_priority <= 100 or not versions else [entry, *versions]


def _in_order(found: Mapping[str, Json], least: Mapping[str, int]) -> list[Json]:
    """Groups by priority, those of one by name; what is built in keeps its order."""
    place = {name: (at, "") for at, name in enumerate(found) if name not in least and group_priority(name)}
    key = lambda name: (-max(least.get(name, 0), group_priority(name) or 1000), *place.get(name, (1 << 20, name)))  # noqa: E731
    return [found[name] for name in sorted(found, key=key)]


def _resources(listed: Sequence[Mapping[str, Any]]) -> list[Json]:
    """An APIResourceList's entries as aggregated discovery has them: subresources inside their resource."""
    found: dict[str, Json] = {}
    for entry in listed:
        name, _, subresource = entry.get("name", "").partition("/")
        kind = {member: entry.get(member) or "" for member in ("group", "version", "kind")}
        verbs = list(entry.get("verbs") or ())
        if subresource:
            made = found.get(name)
            if made is not None:
                made.setdefault("subresources", []).append(
                    {"subresource": subresource, "responseKind": kind, "verbs": verbs}
                )
            continue
        scope = "Namespaced" if entry.get("namespaced") else "Cluster"
        made = found[name] = {"resource": name, "responseKind": kind, "scope": scope}
        made |= {"singularResource": entry.get("singularName") or "", "verbs": verbs}
        for member in ("shortNames", "categories"):
            if entry.get(member):
                made[member] = list(entry[member])
    return list(found.values())
