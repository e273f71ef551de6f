"""APIResourceSchemas as definitions: what an APIExport offers, in the form of a CustomResourceDefinition. Pure.

A logical cluster that binds one holds a copy, written with the binding's status, under a type that no API shows
(`BOUND_TYPES`): so it goes on being served when the exporter is away, and goes with its logical cluster wherever that
goes. Copies of equal content are compiled once for the whole shard, as definitions are.
"""

from collections.abc import Mapping
from typing import Any

from kcpshard.definitions.contract import Object
from kcpshard.schema.structural_faults import faults

BOUND_TYPES = "boundtypes.internal.kcp.io"  # group resource of the copies; named as definitions are
BINDING, SCHEMA, SCHEMA_UID = "apis.kcp.io/binding", "apis.kcp.io/schema-name", "apis.kcp.io/schema-uid"
POLICY = "apis.kcp.io/maximal-permission-policy"  # "local" where the exporter's own RBAC bounds what may be done


def definition_of(schema: Mapping[str, Any], binding: str, is_ending: bool = False, has_policy: bool = False) -> Object:
    """Of an APIResourceSchema, for the APIBinding of that name; `is_ending`: nothing new is taken."""
    spec, meta = schema["spec"], schema["metadata"]
    names = {**spec["names"]}
    names.setdefault("singular", str(names["kind"]).lower())
    names.setdefault("listKind", f"{names['kind']}List")
    conditions = [{"type": type_, "status": "True"} for type_ in ("NamesAccepted", "Established")]
    if is_ending:
        conditions.append({"type": "Terminating", "status": "True"})
    conversion = spec.get("conversion")
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{names['plural']}.{spec['group']}",
            "uid": meta["uid"],
            "annotations": {
                BINDING: binding,
                SCHEMA: meta["name"],
                SCHEMA_UID: meta["uid"],
                **({POLICY: "local"} if has_policy else {}),
            },
        },
        "spec": {
            "group": spec["group"],
            "names": names,
            "scope": spec["scope"],
            "versions": [_version(version) for version in spec["versions"]],
            **({"conversion": conversion} if conversion else {}),
        },
        "status": {"acceptedNames": names, "conditions": conditions},
    }


def ending(definition: Object) -> Object:
    """A copy whose binding goes: objects go, and none comes."""
    conditions = [each for each in definition["status"]["conditions"] if each["type"] != "Terminating"]
    status = {**definition["status"], "conditions": [*conditions, {"type": "Terminating", "status": "True"}]}
    return {**definition, "status": status}


def schema_faults(schema: Mapping[str, Any]) -> list[str]:
    """Why it cannot be served; empty if it can."""
    found = []
    versions = (schema.get("spec") or {}).get("versions") or ()
    if sum(bool(version.get("storage")) for version in versions) != 1:
        found.append("spec.versions: exactly one version must be the stored one")
    for index, version in enumerate(versions):
        raw = version.get("schema")
        if not isinstance(raw, dict):
            found.append(f"spec.versions[{index}].schema: Required value")
            continue
        found += [str(fault) for fault in faults(raw, f"spec.versions[{index}].schema")]
    return found


def _version(raw: Mapping[str, Any]) -> Object:
    kept = {key: value for key, value in raw.items() if key != "schema"}
    return {**kept, "schema": {"openAPIV3Schema": raw.get("schema") or {"type": "object"}}}
