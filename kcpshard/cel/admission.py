"""Expressions of admission: which variables they see and what types those have.

The same in a ValidatingAdmissionPolicy, a MutatingAdmissionPolicy and the matchConditions of a webhook; `compiled` says
what is wrong with one in the words of kube-apiserver. What the values are is the business of who evaluates them.
"""

from collections.abc import Mapping
from typing import NamedTuple

from kcpshard.cel.checking import CompileFault, check
from kcpshard.cel.constants import constant_fault
from kcpshard.cel.evaluation import Program
from kcpshard.cel.types import (
    BOOL,
    DYN,
    INT,
    JSON_PATCH,
    NULL,
    OPAQUE,
    STRING,
    TIMESTAMP,
    Type,
    exact_name,
    list_of,
    map_of,
    patch_type,
    struct,
)

AUTHORIZER, REQUEST_RESOURCE = "authorizer", "authorizer.requestResource"
# In the order of Program.evaluate's arguments.
VARIABLES = (
    "object", "oldObject", "params", "request", "namespaceObject", AUTHORIZER, REQUEST_RESOURCE, "variables",
)  # fmt: skip
_OBJECT = patch_type("Object")
assert _OBJECT is not None


def _strings(*names: str) -> dict[str, Type]:
    return dict.fromkeys(names, STRING)


_STRING_LIST = list_of(STRING)
_KIND = struct(_strings("group", "version", "kind"), 0, "kubernetes.GroupVersionKind")
_RESOURCE = struct(_strings("group", "version", "resource"), 0, "kubernetes.GroupVersionResource")
_USER = struct(
    {**_strings("username", "uid"), "groups": _STRING_LIST, "extra": map_of(STRING, _STRING_LIST)},
    0,
    "kubernetes.UserInfo",
)
REQUEST = struct(
    {
        "kind": _KIND, "resource": _RESOURCE, "requestKind": _KIND, "requestResource": _RESOURCE, "userInfo": _USER,
        **_strings("subResource", "requestSubResource", "name", "namespace", "operation"),
        "dryRun": BOOL, "options": DYN,
    },
    0,
    "kubernetes.AdmissionRequest",
)  # fmt: skip
_CONDITION = struct(
    {**_strings("status", "type", "message", "reason"), "lastTransitionTime": TIMESTAMP},
    0,
    "kubernetes.NamespaceCondition",
)
_METADATA = struct(
    {
        **_strings("name", "generateName", "namespace", "UID", "resourceVersion"),
        "labels": map_of(STRING, STRING), "annotations": map_of(STRING, STRING), "finalizers": _STRING_LIST,
        "creationTimestamp": TIMESTAMP, "deletionTimestamp": TIMESTAMP, "deletionGracePeriodSeconds": INT,
        "generation": INT,
    },
    0,
    "kubernetes.NamespaceMetadata",
)  # fmt: skip
NAMESPACE = struct(
    {
        "metadata": _METADATA,
        "spec": struct({"finalizers": _STRING_LIST}, 0, "kubernetes.NamespaceSpec"),
        "status": struct({"conditions": list_of(_CONDITION), "phase": STRING}, 0, "kubernetes.NamespaceStatus"),
    },
    0,
    "kubernetes.Namespace",
)

IS_BOOL, IS_STRING, IS_STRING_OR_NULL = (BOOL,), (STRING,), (STRING, NULL)
IS_OBJECT, IS_JSON_PATCH = (_OBJECT,), (list_of(JSON_PATCH),)


class Compiled(NamedTuple):
    """An expression as a program, or why it is none. `is_internal` tells a fault that is not the author's."""

    text: str
    program: Program | None
    result: Type
    fault: str = ""
    is_internal: bool = False


def declarations(
    has_params: bool, has_authorizer: bool = True, variables: Mapping[str, Type] | None = None
) -> dict[str, Type]:
    """The variables of an expression; `variables` are the composited ones, None where there cannot be any."""
    found = {"object": DYN, "oldObject": DYN, "namespaceObject": NAMESPACE, "request": REQUEST}
    if has_params:
        found["params"] = DYN
    if has_authorizer:
        found[AUTHORIZER], found[REQUEST_RESOURCE] = OPAQUE["authorizer"], OPAQUE["resource_check"]
    if variables is not None:
        found["variables"] = struct(dict(variables), 0, "kubernetes.variables")
    return found


def compiled(
    text: str, declared: Mapping[str, Type], wanted: tuple[Type, ...] = (), *, makes_patches: bool = False
) -> Compiled:
    """`wanted` are the types that the expression may have; none: any."""
    try:
        checked = check(text, declared, makes_patches=makes_patches)
    except CompileFault as fault:
        return Compiled(text, None, DYN, f"compilation failed: {fault}")
    result = checked.root.type
    if wanted and exact_name(result) not in map(exact_name, wanted):
        return Compiled(text, None, DYN, f"{_wanted(wanted)} but got {exact_name(result)}")
    if unfit := constant_fault(checked):
        return Compiled(text, None, DYN, f"program instantiation failed: {unfit}", True)
    return Compiled(text, Program(checked, VARIABLES), result)


def _wanted(wanted: tuple[Type, ...]) -> str:
    if len(wanted) == 1:
        return f"must evaluate to {exact_name(wanted[0])}"
    return f"must evaluate to one of [{' '.join(map(exact_name, wanted))}]"


def variable_type(found: Type) -> Type:
    """What a composited variable is to the expressions that use it: of some types nothing is known any more."""
    match found.kind:
        case "list":
            return list_of(variable_type(found.params[0]))
        case "map":
            return map_of(variable_type(found.params[0]), variable_type(found.params[1]))
        case "bool" | "bytes" | "double" | "duration" | "int" | "null" | "string" | "timestamp" | "uint":
            return found
    return DYN
