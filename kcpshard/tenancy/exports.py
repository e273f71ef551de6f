"""The words of kcp's API sharing on the wire, and what an APIExport offers and says of itself. Pure."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kcpshard.api.objects import Object
from kcpshard.definitions.crd_naming import set_condition

APIS, OLD_VERSION, VERSION = "apis.kcp.io", "v1alpha1", "v1alpha2"
EXPORTS, BINDINGS = f"apiexports.{APIS}", f"apibindings.{APIS}"
SCHEMAS, SLICES = f"apiresourceschemas.{APIS}", f"apiexportendpointslices.{APIS}"
FINALIZER = "apis.kcp.io/apibinding-finalizer"  # of an APIBinding, as long as objects of its types exist
EXPORT_LABEL = "internal.apis.kcp.io/export"  # on an APIBinding: a digest of what it binds
SECRET_NAMESPACE, SECRET_KEY = "kcp-system", "key"  # of the identity that is made for an export without one
IDENTITY_VALID, URLS_READY, ENDPOINTS_READY = "IdentityValid", "VirtualWorkspaceURLsReady", "EndpointURLsReady"
POLICY_PREFIX = "apis.kcp.io:binding:"  # before users and groups, in the exporter's RBAC

Type = tuple[str, str]  # API group, plural


class ExportReference(NamedTuple):
    path: str  # of the logical cluster
    name: str

    def __str__(self) -> str:
        return f"{self.path}:{self.name}"


class Offered(NamedTuple):
    """A resource type of an export."""

    group: str
    plural: str
    schema: str  # name of its APIResourceSchema


def reference_of(binding: Mapping[str, Any], here: str) -> ExportReference:
    """Of an APIBinding in the logical cluster `here`."""
    export = ((binding.get("spec") or {}).get("reference") or {}).get("export") or {}
    return ExportReference(export.get("path") or here, export.get("name") or "")


def offered(export: Mapping[str, Any]) -> list[Offered]:
    found = (export.get("spec") or {}).get("resources") or ()
    return [Offered(each.get("group") or "", each["name"], each["schema"]) for each in found]


def claims(export: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = (export.get("spec") or {}).get("permissionClaims") or ()
    return found


def identity_hash(export: Mapping[str, Any]) -> str:
    return str((export.get("status") or {}).get("identityHash") or "")


def has_policy(export: Mapping[str, Any]) -> bool:
    """Whether the exporter's own RBAC bounds what may be done with its types wherever they are bound."""
    return ((export.get("spec") or {}).get("maximalPermissionPolicy") or {}).get("local") is not None


def hash_of_secret(secret: Mapping[str, Any]) -> str:
    """ "" if it holds no key."""
    raw = (secret.get("data") or {}).get(SECRET_KEY) or ""
    try:
        key = base64.b64decode(raw)
    except ValueError:
        return ""
    return hashlib.sha256(key).hexdigest() if key else ""


def view_url(fronts: str, reference: ExportReference) -> str:
    return f"{fronts}/services/apiexport/{reference.path}/{reference.name}"


def export_status(export: Mapping[str, Any], secret: Mapping[str, Any] | None, url: str, now: str) -> Object:
    """The status that the export should have. `secret`: its identity, None if it is missing."""
    status = dict(export.get("status") or {})
    conditions = [dict(each) for each in status.get("conditions") or ()]
    known, hash_ = identity_hash(export), hash_of_secret(secret) if secret is not None else ""
    if not hash_:
        message = "the secret of spec.identity.secretRef is missing or holds no key"
        set_condition(conditions, IDENTITY_VALID, "False", "IdentityVerificationFailed", message, now)
    elif known and known != hash_:
        message = f"hash mismatch: identity secret hash {hash_} must match status.identityHash {known}"
        set_condition(conditions, IDENTITY_VALID, "False", "IdentityVerificationFailed", message, now)
    else:
        status["identityHash"] = hash_
        set_condition(conditions, IDENTITY_VALID, "True", "", "", now)
    status["virtualWorkspaces"] = [{"url": url}]
    set_condition(conditions, URLS_READY, "True", "", "", now)
    return {**status, "conditions": without_empty(conditions)}


def without_empty(conditions: Sequence[Mapping[str, Any]]) -> list[Object]:
    """A condition that is true needs no reason."""
    return [{key: value for key, value in each.items() if value != ""} for each in conditions]
