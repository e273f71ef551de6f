"""ConfigMap, Secret and ServiceAccount."""

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from kcpshard.api.errors import FieldError, forbidden, invalid, required, too_long
from kcpshard.definitions.contract import Object
from kcpshard.definitions.naming import config_key_faults, is_config_key
from kcpshard.definitions.strategies import Rules

MAX_BYTES = 1024 * 1024  # of all values together
_ENFORCED = "kubernetes.io/enforce-mountable-secrets"
_IMMUTABLE = "field is immutable when `immutable` is set"


def _text_bytes(values: Mapping[str, str]) -> int:
    return sum([len(v) if v.isascii() else len(v.encode()) for v in values.values()])


def _decoded_bytes(values: Mapping[str, str]) -> int:
    """Base64 is canonical here: see `fields`."""
    return sum([len(v) // 4 * 3 - v.endswith("=") - v.endswith("==") for v in values.values()])


def _key_faults(values: Mapping[str, str], path: str, other: Mapping[str, str]) -> Iterator[FieldError]:
    for key in values:
        if not is_config_key(key):
            yield from (invalid(f"{path}[{key}]", key, text) for text in config_key_faults(key))
        if key in other:
            yield invalid(f"{path}[{key}]", key, "duplicate of key present in binaryData")


_NOTHING: dict[str, str] = {}


def _config_map(obj: Object) -> list[FieldError]:
    data: Mapping[str, str] = obj.get("data") or _NOTHING
    binary: Mapping[str, str] = obj.get("binaryData") or _NOTHING
    faults = [*_key_faults(data, "data", binary), *_key_faults(binary, "binaryData", _NOTHING)]
    if _text_bytes(data) + _decoded_bytes(binary) > MAX_BYTES:
        faults.append(too_long("[]", MAX_BYTES))
    return faults


def _still(new: Object, old: Object, *members: str) -> Iterator[FieldError]:
    """Once immutable is set, neither it nor `members` change."""
    if old.get("immutable"):
        if not new.get("immutable"):
            yield forbidden("immutable", _IMMUTABLE)
        for member in members:
            if (new.get(member) or {}) != (old.get(member) or {}):
                yield forbidden(member, _IMMUTABLE)


def _config_map_update(new: Object, old: Object) -> Iterator[FieldError]:
    return _still(new, old, "data", "binaryData")


# --- Secret

_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105  a type, not a secret
_ACCOUNT = "kubernetes.io/service-account.name"
_REDACTED = "<secret contents redacted>"


def _default_secret(obj: Object) -> None:
    """stringData is write-only: it wins over data and is never stored."""
    written = obj.pop("stringData", None)
    if written:
        data = dict(obj.get("data") or {})
        data.update((key, base64.b64encode(text.encode()).decode()) for key, text in written.items())
        obj["data"] = data
    if not obj.get("type"):
        obj["type"] = "Opaque"


def _secret(obj: Object) -> list[FieldError]:
    data: Mapping[str, str] = obj.get("data") or _NOTHING
    faults = list(_key_faults(data, "data", _NOTHING))
    if _decoded_bytes(data) > MAX_BYTES:
        faults.append(too_long("data", MAX_BYTES))
    kind = obj.get("type")
    if kind != "Opaque":
        faults += _typed_secret(obj, data, str(kind))
    return faults


def _typed_secret(obj: Object, data: Mapping[str, str], kind: str) -> Iterator[FieldError]:
    match kind:
        case "kubernetes.io/service-account-token":
            if not (obj["metadata"].get("annotations") or {}).get(_ACCOUNT):
                yield required(f"metadata.annotations[{_ACCOUNT}]")
        case "kubernetes.io/dockercfg":
            yield from _json_value(data, ".dockercfg")
        case "kubernetes.io/dockerconfigjson":
            yield from _json_value(data, ".dockerconfigjson")
        case "kubernetes.io/basic-auth":
            if "username" not in data and "password" not in data:
                yield required("data[username]")
                yield required("data[password]")
        case "kubernetes.io/ssh-auth":
            if not data.get("ssh-privatekey"):
                yield required("data[ssh-privatekey]")
        case "kubernetes.io/tls":
            yield from (required(f"data[{key}]") for key in ("tls.crt", "tls.key") if key not in data)


def _json_value(data: Mapping[str, str], key: str) -> Iterator[FieldError]:
    if key not in data:
        yield required(f"data[{key}]")
        return
    try:
        found: Any = orjson.loads(base64.b64decode(data[key]))
    except orjson.JSONDecodeError as fault:
        at = fault.doc[fault.pos : fault.pos + 1]
        text = f"invalid character '{at}' looking for beginning of value" if at else "unexpected end of JSON input"
        yield invalid(f"data[{key}]", _REDACTED, text)
        return
    if found is not None and not isinstance(found, dict):
        text = "json: cannot unmarshal into Go value of type map[string]interface {}"
        yield invalid(f"data[{key}]", _REDACTED, text)


def _secret_update(new: Object, old: Object) -> Iterator[FieldError]:
    if new.get("type") != old.get("type"):
        yield invalid("type", new.get("type"), "field is immutable")
    yield from _still(new, old, "data")


def _named_secrets(obj: Object) -> None:
    """Of a reference to a secret only the name counts."""
    if obj.get("secrets"):
        obj["secrets"] = [{"name": s["name"]} if s.get("name") else {} for s in obj["secrets"]]


def _account_warnings(account: Object) -> Iterator[str]:
    if _ENFORCED in (account["metadata"].get("annotations") or {}):
        advice = "prefer separate namespaces to isolate access to mounted secrets"
        yield f"metadata.annotations[{_ENFORCED}]: deprecated in v1.32+; {advice}"


ROWS = {
    ("", "ConfigMap"): Rules(validate=(_config_map,), validate_update=(_config_map_update,)),
    ("", "Secret"): Rules(
        default=(_default_secret,),
        validate=(_secret,),
        validate_update=(_secret_update,),
        fields=(("type", ("type",)),),
    ),
    ("", "ServiceAccount"): Rules(
        prepare_create=(_named_secrets,),
        prepare_update={"": lambda new, _: _named_secrets(new)},
        create_warnings=_account_warnings,
    ),
}
