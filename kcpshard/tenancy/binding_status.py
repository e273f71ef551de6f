"""What an APIBinding says: phase, what is bound, which claims are in force, conditions in kcp's words. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kcpshard.api.objects import Object
from kcpshard.definitions.crd_naming import set_condition
from kcpshard.tenancy.exports import without_empty

EXPORT_VALID, BOUND, UP_TO_DATE = "APIExportValid", "InitialBindingCompleted", "BindingUpToDate"
CLAIMS_VALID, CLAIMS_APPLIED = "PermissionClaimsValid", "PermissionClaimsApplied"
DELETED, READY = "BindingResourceDeleteSuccess", "Ready"
NOT_FOUND, SCHEMA_INVALID, CONFLICTS = "APIExportNotFound", "APIResourceSchemaInvalid", "NamingConflicts"


class BindingStatus:
    """A status being written; `finished` gives it back."""

    def __init__(self, binding: Mapping[str, Any], now: str) -> None:
        self._status: Object = dict(binding.get("status") or {})
        self._conditions: list[Object] = [dict(each) for each in self._status.get("conditions") or ()]
        self._now = now
        self._status.setdefault("phase", "Binding")

    def is_true(self, type_: str) -> bool:
        return any(each["type"] == type_ and each["status"] == "True" for each in self._conditions)

    def say(self, type_: str, reason: str = "", message: str = "") -> None:
        """Without a reason it is true."""
        set_condition(self._conditions, type_, "False" if reason else "True", reason, message, self._now)

    def bind(self, path: str, resources: Sequence[Object]) -> None:
        self._status |= {"phase": "Bound", "apiExportClusterName": path, "boundResources": list(resources)}
        self.say(BOUND)

    def claim(self, exported: Sequence[Mapping[str, Any]], accepted: Sequence[Mapping[str, Any]]) -> None:
        """What the export claims and what is accepted of it here."""
        self._status["exportPermissionClaims"] = list(exported)
        valid, wrong = applied(exported, accepted)
        self._status["appliedPermissionClaims"] = valid
        for member in ("exportPermissionClaims", "appliedPermissionClaims"):
            if not self._status[member]:
                del self._status[member]
        if wrong:
            message = "unable to apply permission claims that the APIExport does not make: " + ", ".join(wrong)
            self.say(CLAIMS_VALID, "InvalidPermissionClaims", message)
        else:
            self.say(CLAIMS_VALID)
        self.say(CLAIMS_APPLIED)

    def finished(self) -> Object:
        needed = (EXPORT_VALID, BOUND, UP_TO_DATE)
        missing = next((each for each in needed if not self.is_true(each)), "")
        if missing:
            said = next((each for each in self._conditions if each["type"] == missing), {})
            self.say(READY, str(said.get("reason") or "Waiting"), str(said.get("message") or f"{missing} is not true"))
        else:
            self.say(READY)
        conditions = sorted(self._conditions, key=lambda each: str(each["type"]))
        return {**self._status, "conditions": without_empty(conditions)}


def applied(
    exported: Sequence[Mapping[str, Any]], accepted: Sequence[Mapping[str, Any]]
) -> tuple[list[Object], list[str]]:
    """Claims that are accepted and made, with the verbs that both sides name; and those that nobody makes."""
    made = {_key(each): each for each in exported}
    found, wrong = list[Object](), list[str]()
    for each in accepted:
        if each.get("state") != "Accepted":
            continue
        claim = made.get(_key(each))
        if claim is None:
            wrong.append(f"{each.get('resource')}.{each.get('group') or ''}".rstrip("."))
            continue
        verbs = _both(claim.get("verbs") or (), each.get("verbs") or ())
        if verbs:
            kept = {key: value for key, value in each.items() if key != "state"}
            found.append({**kept, "verbs": verbs})
    return found, wrong


def _key(claim: Mapping[str, Any]) -> tuple[str, str, str]:
    return claim.get("group") or "", str(claim.get("resource")), claim.get("identityHash") or ""


def _both(one: Iterable[str], other: Iterable[str]) -> list[str]:
    first, second = set(one), set(other)
    if "*" in first:
        return sorted(second)
    return sorted(first if "*" in second else first & second)


def bound_resource(group: str, plural: str, schema: Mapping[str, Any], identity: str) -> Object:
    """As status.boundResources has it."""
    stored = [each["name"] for each in schema["spec"]["versions"] if each.get("storage")]
    meta = schema["metadata"]
    return {
        "group": group,
        "resource": plural,
        "schema": {"name": meta["name"], "UID": meta["uid"], "identityHash": identity},
        "storageVersions": stored,
    }
