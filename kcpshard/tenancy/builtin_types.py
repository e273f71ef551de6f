"""The workspace types that the workspace `root` has from its first moment, under kcp's names."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from kcpshard.tenancy.names import ROOT, TENANCY, VERSION, WORKSPACE_TYPES, TypeReference

UNIVERSAL = TypeReference(ROOT, "universal")
ROOT_TYPE = TypeReference(ROOT, "root")
_ORGANIZATION, _TEAM = TypeReference(ROOT, "organization"), TypeReference(ROOT, "team")


def _raw(*references: TypeReference) -> list[dict[str, str]]:
    return [{"name": each.name, "path": each.path} for each in references]


def _spec(child: TypeReference, **more: Any) -> dict[str, Any]:
    return {"defaultChildWorkspaceType": _raw(child)[0], "extend": {"with": _raw(UNIVERSAL)}, **more}


SPECS: Mapping[str, Mapping[str, Any]] = {
    "home": _spec(UNIVERSAL, limitAllowedParents={"none": True}),
    "organization": _spec(
        UNIVERSAL, limitAllowedChildren={"types": _raw(UNIVERSAL)}, limitAllowedParents={"types": _raw(ROOT_TYPE)}
    ),
    "root": _spec(_ORGANIZATION, limitAllowedParents={"none": True}),
    "team": _spec(UNIVERSAL, limitAllowedParents={"types": _raw(_ORGANIZATION, _TEAM)}),
    "universal": {"defaultChildWorkspaceType": _raw(UNIVERSAL)[0]},
}
# Whoever may make a workspace may use these.
FOR_EVERYBODY = frozenset({"organization", "team", "universal"})


class TypeObject(NamedTuple):
    """For the store's template."""

    group_resource: str
    namespace: str
    name: str
    document: Mapping[str, Any]


def shown_in_root(path: str) -> Mapping[str, str] | None:
    return {} if path == ROOT else None


def type_objects() -> list[TypeObject]:
    found = []
    for name, spec in SPECS.items():
        document = {
            "apiVersion": f"{TENANCY}/{VERSION}",
            "kind": "WorkspaceType",
            "metadata": {"name": name, "generation": 1},
            "spec": spec,
        }
        found.append(TypeObject(WORKSPACE_TYPES, "", name, document))
    return found


def top_level_type(path: str) -> TypeReference:
    """Of a logical cluster without a parent."""
    return ROOT_TYPE if path == ROOT else UNIVERSAL
