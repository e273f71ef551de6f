"""Names inside objects: the rules that are not those of metadata.name, in kube-apiserver's words."""

import re
from collections.abc import Sequence

import orjson

from kcpshard.api.errors import FieldError, invalid
from kcpshard.api.selectors import qualified_name_faults

_DNS1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_DNS1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
# Not "..", nothing that begins with it, not ".".
_CONFIG_KEY = re.compile(r"(?!\.\.)(?!\.\Z)[-._a-zA-Z0-9]{1,253}")
_CONFIG_CHARACTERS = re.compile(r"[-._a-zA-Z0-9]+")
_CONFIG_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  "
    "or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})


def dns1035_label_faults(value: str) -> list[str]:
    """IsDNS1035Label."""
    faults = [] if len(value) <= 63 else ["must be no more than 63 bytes"]
    return faults if _DNS1035.fullmatch(value) else [*faults, _DNS1035_TEXT]


def is_config_key(key: str) -> bool:
    return _CONFIG_KEY.fullmatch(key) is not None


def config_key_faults(key: str) -> list[str]:
    """IsConfigMapKey: keys of ConfigMaps and Secrets."""
    if is_config_key(key):
        return []
    faults = [] if len(key) <= 253 else ["must be no more than 253 characters"]
    if not _CONFIG_CHARACTERS.fullmatch(key):
        faults.append(_CONFIG_KEY_TEXT)
    if key in (".", ".."):
        faults.append(f"must not be '{key}'")
    elif key.startswith(".."):
        faults.append("must not start with '..'")
    return faults


def finalizer_name_faults(name: str, path: str) -> list[FieldError]:
    """Of a Namespace's spec.finalizers."""
    faults = [invalid(path, name, text) for text in qualified_name_faults(name)]
    if not faults and "/" not in name and name not in _STANDARD_FINALIZERS:
        faults.append(invalid(path, name, "name is neither a standard finalizer name nor is it fully qualified"))
    return faults


def one_of(path: str, value: str, supported: Sequence[str]) -> list[FieldError]:
    """`value` must be in `supported`, which the fault lists in the given order (some lists upstream are not sorted)."""
    if value in supported:
        return []
    listed = ", ".join(f'"{s}"' for s in supported)
    shown = orjson.dumps(value).decode()
    text = f"Unsupported value: {shown}: supported values: {listed}"
    return [FieldError(path, "FieldValueNotSupported", text)]
