"""The body of a Transaction: several operations on objects of one logical cluster, read and checked. Pure.

apiVersion: changes.kcp.io/v1alpha1
kind: Transaction
spec:
  operations:
  - verb: Apply                       # Apply, Create, Update, Delete or Check
    object: {apiVersion: …, kind: …, metadata: {name: …}, …}
    force: true                       # of Apply: take over fields that other managers own
    propagationPolicy: Background     # of Delete
    preconditions: {exists: true, uid: …, resourceVersion: "…"}
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from kcpshard.api.errors import (
    BadRequest,
    FieldError,
    invalid,
    not_supported,
    object_invalid,
    required,
    too_many,
    type_invalid,
)
from kcpshard.api.objects import Object
from kcpshard.verbs.decoding import syntax_fault

GROUP, VERSION, RESOURCE, KIND = "changes.kcp.io", "v1alpha1", "transactions", "Transaction"
API_VERSION = f"{GROUP}/{VERSION}"
APPLY, CREATE, UPDATE, DELETE, CHECK = VERBS = ("Apply", "Create", "Update", "Delete", "Check")
MAX_OPERATIONS = 1_000
_WHOLE = ("apiVersion", "kind", "metadata", "spec", "status")
_MEMBERS = ("verb", "object", "force", "propagationPolicy", "preconditions")
_PRECONDITIONS: Mapping[str, type] = {"exists": bool, "uid": str, "resourceVersion": str}


class Preconditions(NamedTuple):
    """None: whatever it is."""

    exists: bool | None = None
    uid: str | None = None
    resource_version: str | None = None


class Operation(NamedTuple):
    verb: str
    object: Object
    force: bool
    propagation_policy: str
    preconditions: Preconditions

    @property
    def api_version(self) -> str:
        return str(self.object["apiVersion"])

    @property
    def kind(self) -> str:
        return str(self.object["kind"])

    @property
    def name(self) -> str:
        return str(self.object["metadata"].get("name") or "")

    @property
    def namespace(self) -> str:
        return str(self.object["metadata"].get("namespace") or "")


def place(index: int) -> str:
    """Where an operation stands, for causes."""
    return f"spec.operations[{index}]"


def read_transaction(body: bytes) -> tuple[list[Operation], list[str]]:
    """The operations, and the paths of members that a Transaction does not have. Raises BadRequest, Invalid."""
    try:
        document = orjson.loads(body or b"null")
    except orjson.JSONDecodeError:
        raise BadRequest(f"the body is not a Transaction: {syntax_fault(body)}") from None
    if not isinstance(document, dict) or (document.get("apiVersion"), document.get("kind")) != (API_VERSION, KIND):
        raise BadRequest(f"the body is not a {KIND} of {API_VERSION}")
    spec = document.get("spec")
    given = spec.get("operations") if isinstance(spec, dict) else None
    if not isinstance(given, list) or not given:
        raise refusal([required("spec.operations", "what is to be done")])
    if len(given) > MAX_OPERATIONS:
        raise refusal([too_many("spec.operations", len(given), MAX_OPERATIONS)])
    faults = [fault for index, each in enumerate(given) for fault in _faults(place(index), each)]
    if faults:
        raise refusal(faults)
    return [_operation(each) for each in given], list(_unknown(document))


def refusal(faults: list[FieldError]) -> Exception:
    return object_invalid(GROUP, KIND, "", faults)


def _operation(given: Object) -> Operation:
    asked = given.get("preconditions") or {}
    preconditions = Preconditions(asked.get("exists"), asked.get("uid"), asked.get("resourceVersion"))
    policy = given.get("propagationPolicy") or ""
    return Operation(given["verb"], given["object"], bool(given.get("force")), policy, preconditions)


def _faults(path: str, given: Any) -> Iterator[FieldError]:
    if not isinstance(given, dict):
        yield type_invalid(path, given, "must be an object")
        return
    verb = given.get("verb")
    if not verb:
        yield required(f"{path}.verb")
    elif verb not in VERBS:
        yield not_supported(f"{path}.verb", verb, VERBS)
    yield from _object_faults(f"{path}.object", given.get("object"), verb)
    if not isinstance(given.get("force") or False, bool):
        yield type_invalid(f"{path}.force", given["force"], "must be true or false")
    elif given.get("force") and verb != APPLY:
        yield invalid(f"{path}.force", True, "goes with Apply only")
    policy = given.get("propagationPolicy") or ""
    if not isinstance(policy, str):
        yield type_invalid(f"{path}.propagationPolicy", policy, "must be a string")
    elif policy and verb != DELETE:
        yield invalid(f"{path}.propagationPolicy", policy, "goes with Delete only")
    yield from _precondition_faults(f"{path}.preconditions", given.get("preconditions"))


def _object_faults(path: str, obj: Any, verb: Any) -> Iterator[FieldError]:
    if obj is None:
        yield required(path)
        return
    if not isinstance(obj, dict) or not isinstance(obj.get("metadata") or {}, dict):
        yield type_invalid(path, obj, "must be an object with metadata")
        return
    for member in ("apiVersion", "kind"):
        if not isinstance(obj.get(member), str) or not obj[member]:
            yield required(f"{path}.{member}")
    meta = obj.get("metadata") or {}
    for member in ("name", "namespace"):
        if not isinstance(meta.get(member) or "", str):
            yield type_invalid(f"{path}.metadata.{member}", meta[member], "must be a string")
    if not meta.get("name") and not (verb == CREATE and meta.get("generateName")):
        yield required(f"{path}.metadata.name")


def _precondition_faults(path: str, given: Any) -> Iterator[FieldError]:
    if given is None:
        return
    if not isinstance(given, dict):
        yield type_invalid(path, given, "must be an object")
        return
    for member, wanted in _PRECONDITIONS.items():
        value = given.get(member)
        if value is not None and not isinstance(value, wanted):
            yield type_invalid(f"{path}.{member}", value, f"must be a {'boolean' if wanted is bool else 'string'}")
    if given.get("exists") is False and (given.get("uid") or given.get("resourceVersion")):
        yield invalid(f"{path}.exists", False, "what does not exist has no uid and no resourceVersion")


def _unknown(document: Object) -> Iterator[str]:
    yield from (key for key in document if key not in _WHOLE)
    yield from (f"spec.{key}" for key in document["spec"] if key != "operations")
    for index, given in enumerate(document["spec"]["operations"]):
        yield from (f"{place(index)}.{key}" for key in given if key not in _MEMBERS)
        asked = given.get("preconditions") or {}
        yield from (f"{place(index)}.preconditions.{key}" for key in asked if key not in _PRECONDITIONS)
