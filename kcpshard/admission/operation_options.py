"""The options of a write as admission shows them: CreateOptions, UpdateOptions or DeleteOptions."""

from typing import Any

import orjson

from kcpshard.admission.attributes import CONNECT, CREATE, DELETE
from kcpshard.api.requests import Request

Object = dict[str, Any]
_VERSION = "meta.k8s.io/v1"


def operation_options(request: Request | None, operation: str) -> Object | None:
    """A patch shows those of the create or update that it comes to. CONNECT has none."""
    if request is None or operation == CONNECT:
        return None
    if operation == DELETE:
        return _delete_options(request)
    kind = "CreateOptions" if operation == CREATE else "UpdateOptions"
    found: Object = {"kind": kind, "apiVersion": _VERSION}
    if request.dry_run:
        found["dryRun"] = ["All"]
    if request.field_manager:
        found["fieldManager"] = request.field_manager
    if request.field_validation:
        found["fieldValidation"] = request.field_validation
    return found


def _delete_options(request: Request) -> Object:
    found: Object = {"kind": "DeleteOptions", "apiVersion": _VERSION}
    given: Any = orjson.loads(request.body) if request.body else None
    if isinstance(given, dict):
        found.update((k, v) for k, v in given.items() if v not in (None, []) and k not in ("kind", "apiVersion"))
    if request.dry_run:
        found["dryRun"] = ["All"]
    return found
