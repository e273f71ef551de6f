"""The formats that `format.named("…")` knows, and what they find wrong with a string."""

import base64
import binascii
import re
from collections.abc import Callable

from kcpshard.cel.values import Format
from kcpshard.schema.formats import accepts

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_NAME_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
Faults = Callable[[str], list[str]]


def _matching(expression: str, longest: int, text: str) -> Faults:
    compiled = re.compile(expression, re.ASCII)

    def faults(value: str) -> list[str]:
        found = [f"must be no more than {longest} bytes"] if len(value.encode()) > longest else []
        return found if compiled.fullmatch(value) else [*found, text]

    return faults


def _prefix(of: Faults) -> Faults:
    """A prefix may end with a dash."""

    def faults(value: str) -> list[str]:
        return of(value[:-1] + "a" if len(value) > 1 and value.endswith("-") else value)

    return faults


_subdomain = _matching(rf"{_LABEL}(\.{_LABEL})*", 253, _SUBDOMAIN_TEXT)
_name_part = _matching(_QUALIFIED, 63, _NAME_TEXT)


def _qualified_name(value: str) -> list[str]:
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        return [f"a qualified name must consist of alphanumeric characters: {_NAME_TEXT}"]
    found = []
    if slash:
        found = ["prefix part must be non-empty"] if not prefix else [f"prefix part {f}" for f in _subdomain(prefix)]
    return found + (["name part must be non-empty"] if not name else _name_part(name))


def _known(name: str, text: str) -> Faults:
    return lambda value: [] if accepts(name, value) else [text]


def _byte(value: str) -> list[str]:
    try:
        base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        return ["invalid base64"]
    return []


_uuid = re.compile(r"(?i)[0-9A-F]{8}-?[0-9A-F]{4}-?[0-9A-F]{4}-?[0-9A-F]{4}-?[0-9A-F]{12}")
_label, _label_1035 = _matching(_LABEL, 63, _LABEL_TEXT), _matching(r"[a-z]([-a-z0-9]*[a-z0-9])?", 63, _LABEL_1035_TEXT)
NAMED_FORMATS: dict[str, Format] = {
    name: Format(name, faults, largest)
    for name, faults, largest in (
        ("dns1123Label", _label, 30), ("dns1123Subdomain", _subdomain, 60), ("dns1035Label", _label_1035, 30),
        ("qualifiedName", _qualified_name, 60), ("dns1123LabelPrefix", _prefix(_label), 30),
        ("dns1123SubdomainPrefix", _prefix(_subdomain), 60), ("dns1035LabelPrefix", _prefix(_label_1035), 30),
        ("labelValue", _matching(rf"({_QUALIFIED})?", 63, _VALUE_TEXT), 40),
        ("uri", _known("uri", "invalid URI"), 128),
        ("uuid", lambda value: [] if _uuid.fullmatch(value) else ["does not match the UUID format"], 128),
        ("byte", _byte, 128), ("date", _known("date", "invalid date"), 128),
        ("datetime", _known("date-time", "invalid datetime"), 128),
    )
}  # fmt: skip
