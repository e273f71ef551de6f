"""The body of a write: JSON to an object of the requested type, or the sentence kube-apiserver has for why not.

Decides syntax, apiVersion and kind; leaves types and unknown fields to `field_validation`. A large body is not decoded
on the loop: see `offload.writes`.
"""

import re
from typing import Any

import orjson

from kcpshard.api import loop_time
from kcpshard.api.errors import BadRequest
from kcpshard.api.objects import Object
from kcpshard.definitions.contract import Catalog, Resource
from kcpshard.storage.contract import LogicalCluster

_SNIPPET = 30
_TYPE_META = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
_SCHEME = 'in scheme "pkg/runtime/scheme.go:111"'


def decode_object(body: bytes, resource: Resource, catalog: Catalog, cluster: LogicalCluster | None) -> Object:
    """A new dict with apiVersion and kind of `resource`. Raises BadRequest and, on a loop, TooLong."""
    loop_time.check_size(len(body))
    try:
        obj = _loads(body)
    except orjson.JSONDecodeError:
        raise _unrecognized(body, resource, f"json parse error: {syntax_fault(body)}") from None
    if obj is None:
        obj = {}  # as Go decodes null into a struct
    if type(obj) is not dict:
        fault = f"json parse error: json: cannot unmarshal {go_kind(obj)} into Go value of type {_TYPE_META}"
        raise _unrecognized(body, resource, fault)
    if obj.get("apiVersion") != resource.api_version or obj.get("kind") != resource.kind:
        _check_type(obj, body, resource, catalog, cluster)
        obj = {**obj, "apiVersion": resource.api_version, "kind": resource.kind}
    return obj


def _loads(body: bytes) -> Any:
    """JSON whose bytes outside UTF-8 become U+FFFD, as in Go."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return orjson.loads(body.decode(errors="replace"))


def _unrecognized(body: bytes, resource: Resource, fault: str) -> BadRequest:
    return BadRequest(
        f"the object provided is unrecognized (must be of type {resource.kind}): couldn't get version/kind; {fault} "
        f"({_snippet(body)})"
    )


def _snippet(body: bytes) -> str:
    """What kube-apiserver shows of a body it cannot read: text if it looks like an object, else hexadecimal."""
    if not body:
        return "<empty>"
    cut = body[:_SNIPPET]
    shown = cut.decode(errors="replace") if body.lstrip()[:1] == b"{" else cut.hex()
    return shown + " ..." if len(body) > _SNIPPET else shown


def _check_type(obj: Object, body: bytes, resource: Resource, catalog: Catalog, cluster: LogicalCluster | None) -> None:
    """apiVersion and kind may be absent; if they are there, they are the resource's."""
    for member in ("apiVersion", "kind"):
        if not isinstance(obj.get(member) or "", str):
            fault = f"json: cannot unmarshal {go_kind(obj[member])} into Go struct field .{member} of type string"
            raise _unrecognized(body, resource, f"json parse error: {fault}")
    api_version, kind = obj.get("apiVersion") or resource.api_version, obj.get("kind") or resource.kind
    if (api_version, kind) == (resource.api_version, resource.kind):
        return
    if api_version.count("/") > 1:
        text = f"unexpected GroupVersion string: {api_version} ({_snippet(body)})"
        raise BadRequest(f"the object provided is unrecognized (must be of type {resource.kind}): {text}")
    raise BadRequest(type_fault(api_version, kind, resource, catalog, cluster))


def type_fault(
    api_version: str, kind: str, resource: Resource, catalog: Catalog, cluster: LogicalCluster | None
) -> str:
    """Why an object of that type cannot be one of `resource`."""
    version = api_version.rpartition("/")[2]
    same_kind = [
        r for r in catalog.resources(cluster) if r.api_version == api_version and kind in (r.kind, r.list_kind)
    ]
    if any(r.kind == kind and r.group_resource == resource.group_resource for r in same_kind):
        return (
            f"the API version in the data ({api_version}) does not match the expected API version "
            f"({resource.api_version})"
        )
    start = f'{kind} in version "{version}" cannot be handled as a {resource.kind}: '
    if same_kind:
        package = (resource.group or "core").partition(".")[0]
        return f"{start}converting ({version}.{kind}) to ({package}.{resource.kind}): unknown conversion"
    return f'{start}no kind "{kind}" is registered for version "{api_version}" {_SCHEME}'


def go_kind(value: Any) -> str:
    """The JSON kind as encoding/json names it."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return {dict: "object", list: "array", str: "string", type(None): "null"}[type(value)]


# --- syntax errors in Go's words

_LITERALS = {"t": "true", "f": "false", "n": "null"}
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_SPACE = " \t\r\n"


def syntax_fault(body: bytes) -> str:
    """Where encoding/json stops reading, and what it says then. Only called for JSON that is known to be broken."""
    return _Syntax(body.decode(errors="replace")).fault()


class _Fault(Exception):
    pass


class _Syntax:
    """A reader of JSON that builds nothing. Not recursive: containers are a stack of the characters that close them."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def fault(self) -> str:
        try:
            self._document()
        except _Fault as fault:
            return str(fault)
        return "unexpected end of JSON input"

    def _document(self) -> None:
        open_containers: list[str] = []
        self._value(open_containers)
        while open_containers:
            closing = open_containers[-1]
            char = self._next_char()
            if char == closing:
                open_containers.pop()
            elif char != ",":
                raise self._unexpected(char, "after object key:value pair" if closing == "}" else "after array element")
            elif closing == "}":
                self._key()
                self._value(open_containers)
            else:
                self._value(open_containers)
        rest = self._text[self._at :].lstrip(_SPACE)
        if rest:
            raise self._unexpected(rest[0], "after top-level value")

    def _value(self, open_containers: list[str]) -> None:
        """One value, or the beginning of a container up to its first value."""
        while True:
            char = self._next_char()
            if char == "{":
                if self._peek() == "}":
                    self._next_char()
                    return
                open_containers.append("}")
                self._key()
            elif char == "[":
                if self._peek() == "]":
                    self._next_char()
                    return
                open_containers.append("]")
            else:
                self._scalar(char)
                return

    def _scalar(self, char: str) -> None:
        if char == '"':
            self._string()
        elif char in _LITERALS:
            self._literal(_LITERALS[char])
        elif char == "-" or char.isdigit():
            found = _NUMBER.match(self._text, self._at - 1)
            if found is None:
                raise self._unexpected(self._char_at(self._at), "in numeric literal")
            self._at = found.end()
        else:
            raise self._unexpected(char, "looking for beginning of value")

    def _key(self) -> None:
        char = self._next_char()
        if char != '"':
            raise self._unexpected(char, "looking for beginning of object key string")
        self._string()
        char = self._next_char()
        if char != ":":
            raise self._unexpected(char, "after object key")

    def _string(self) -> None:
        while True:
            char = self._char_at(self._at)
            self._at += 1
            if char == '"':
                return
            if char == "\\":
                escape = self._char_at(self._at)
                self._at += 1
                if escape not in '"\\/bfnrtu':
                    raise self._unexpected(escape, "in string escape code")
            elif char < " ":
                raise self._unexpected(char, "in string literal")

    def _literal(self, word: str) -> None:
        for expected in word[1:]:
            char = self._text[self._at : self._at + 1] or " "
            if char != expected:
                raise self._unexpected(char, f"in literal {word} (expecting '{expected}')")
            self._at += 1

    def _char_at(self, at: int) -> str:
        if at >= len(self._text):
            raise _Fault("unexpected end of JSON input")
        return self._text[at]

    def _peek(self) -> str:
        at = self._at
        while self._text[at : at + 1] and self._text[at] in _SPACE:
            at += 1
        return self._text[at : at + 1]

    def _next_char(self) -> str:
        while self._char_at(self._at) in _SPACE:
            self._at += 1
        self._at += 1
        return self._text[self._at - 1]

    @staticmethod
    def _unexpected(char: str, where: str) -> _Fault:
        shown = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "'": "\\'", '"': '"'}.get(char, char)
        return _Fault(f"invalid character '{shown}' {where}")
