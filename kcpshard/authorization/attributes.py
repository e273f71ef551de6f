"""What a request wants to do, as an authoriser sees it, and how a refusal is worded.

Names are Kubernetes' (`authorizer.Attributes`). Leaves to `policy` whether somebody may.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from kcpshard.api.errors import ApiError, Forbidden
from kcpshard.api.selectors import FieldTerm, Requirement, parse_field_terms, parse_label_selector

_SUBRESOURCES_OF_NAMESPACES = ("status", "finalize")
_ESCAPED = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}


class Attributes(NamedTuple):
    """`path` is set, maybe to "", for what is no resource; then only it and `verb` count. `fields` and `labels` are the
    selectors of a list, watch or deletecollection: they only narrow it."""

    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str | None = None
    fields: tuple[FieldTerm, ...] = ()
    labels: tuple[Requirement, ...] = ()

    def narrowed(self, field_selector: str, label_selector: str) -> "Attributes":
        """The same within selectors as the client wrote them, in kube-apiserver's order. Those that cannot be read are
        refused by the verb, and narrow nothing here."""
        fields: tuple[FieldTerm, ...] = ()
        labels: tuple[Requirement, ...] = ()
        with suppress(ApiError):
            fields = in_order(parse_field_terms(field_selector))
        with suppress(ApiError):
            labels = by_key(parse_label_selector(label_selector).requirements)
        return self._replace(fields=fields, labels=labels)


def in_order(terms: Iterable[FieldTerm]) -> tuple[FieldTerm, ...]:
    """As kube-apiserver reads a text: by what is written."""
    return tuple(sorted(terms, key=lambda term: f"{term.field}{'=' if term.equal else '!='}{term.value}"))


def by_key(requirements: Iterable[Requirement]) -> tuple[Requirement, ...]:
    return tuple(sorted(requirements, key=lambda requirement: requirement.key))


def of_object(
    verb: str, group: str, version: str, resource: str, subresource: str, namespace: str, name: str
) -> Attributes:
    """A request for a resource, `name` as its URL has it. A Namespace lies, for an authoriser, in itself."""
    if resource == "namespaces" and not group and name:
        namespace = name
    return Attributes(verb, group, version, resource, subresource, namespace, name)


def sentence(username: str, wanted: Attributes) -> str:
    """`User "x" cannot …`."""
    user = quoted(username)
    if wanted.path is not None:
        return f"User {user} cannot {wanted.verb} path {quoted(wanted.path)}".translate(_ESCAPED)
    resource = f"{wanted.resource}/{wanted.subresource}" if wanted.subresource else wanted.resource
    text = f"User {user} cannot {wanted.verb} resource {quoted(resource)} in API group {quoted(wanted.group)} "
    where = f"in the namespace {quoted(wanted.namespace)}" if wanted.namespace else "at the cluster scope"
    return (text + where).translate(_ESCAPED)


def refused(username: str, wanted: Attributes, reason: str) -> Forbidden:
    """The 403 as kube-apiserver words it."""
    detail = sentence(username, wanted)
    shown = f"{detail}: {reason}" if reason else detail
    error = forbidden_object(wanted.group, wanted.resource, wanted.name, shown)
    error.decision = reason
    return error


def forbidden_object(group: str, resource: str, name: str, detail: str) -> Forbidden:
    """`pods "a" is forbidden: …`, with what of it there is."""
    if not resource:
        return Forbidden(f"forbidden: {detail}")
    qualified = f"{resource}.{group}" if group else resource
    what = f"{qualified} {quoted(name)}" if name else qualified
    return Forbidden(f"{what} is forbidden: {detail}", name=name, group=group, kind=resource)


def quoted(text: str) -> str:
    """As Go's %q shows it, for the text that names are made of."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(map(_go_escaped, text)) + '"'


_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


def _go_escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char.isprintable():
        return char
    if char in _ESCAPES:
        return _ESCAPES[char]
    number = ord(char)
    if number < 0x80:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
