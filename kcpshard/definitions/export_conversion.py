"""APIExports and APIBindings in v1alpha1 and v1alpha2, both ways. Pure.

What only the newer version can say (verbs and selectors of permission claims, the storage of a resource) is left out in
the older one; written through the older one it becomes what that one meant: everything.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kcpshard.definitions.contract import Object

GROUP, OLD, NEW = "apis.kcp.io", "apis.kcp.io/v1alpha1", "apis.kcp.io/v1alpha2"
_CLAIMS = ("permissionClaims", "appliedPermissionClaims", "exportPermissionClaims")


def converted(obj: Object, wanted: str) -> Object:
    """The members of `obj` as the version `wanted` has them; its apiVersion stays the caller's business."""
    if obj.get("apiVersion") == wanted:
        return obj
    claims: Callable[[str, Any], Any] = _new_claim if wanted == NEW else _old_claim
    found = {**obj}
    for member in ("spec", "status"):
        if isinstance(obj.get(member), dict):
            found[member] = _claims(obj[member], obj.get("kind") == "APIExport", claims)
    if obj.get("kind") == "APIExport" and isinstance(found.get("spec"), dict):
        found["spec"] = (_new_resources if wanted == NEW else _old_resources)(found["spec"])
    return found


def _claims(part: Mapping[str, Any], is_export: bool, claim: Callable[[str, Any], Any]) -> Object:
    found = {**part}
    for member in _CLAIMS:
        if isinstance(part.get(member), list):
            where = "exportPermissionClaims" if is_export else member
            found[member] = [claim(where, each) for each in part[member]]
    return found


def _new_claim(member: str, old: Mapping[str, Any]) -> Object:
    found = {key: value for key, value in old.items() if key not in ("all", "resourceSelector")}
    found.setdefault("verbs", ["*"])
    if member != "exportPermissionClaims":
        found.setdefault("selector", {"matchAll": True})
    return found


def _old_claim(_member: str, new: Mapping[str, Any]) -> Object:
    left_out = ("verbs", "selector", "defaultSelector")
    return {**{key: value for key, value in new.items() if key not in left_out}, "all": True}


def _new_resources(spec: Mapping[str, Any]) -> Object:
    found = {key: value for key, value in spec.items() if key != "latestResourceSchemas"}
    if "latestResourceSchemas" in spec and "resources" not in spec:
        found["resources"] = [_resource(str(name)) for name in spec["latestResourceSchemas"] or ()]
    return found


def _resource(schema: str) -> Object:
    """A schema is called PREFIX.PLURAL.GROUP; the core group is left out or "core"."""
    _, _, rest = schema.partition(".")
    plural, _, group = rest.partition(".")
    return {"name": plural, "group": "" if group == "core" else group, "schema": schema, "storage": {"crd": {}}}


def _old_resources(spec: Mapping[str, Any]) -> Object:
    found = {key: value for key, value in spec.items() if key != "resources"}
    if "resources" in spec:
        found["latestResourceSchemas"] = [each["schema"] for each in spec["resources"] or ()]
    return found
