"""Accept header → representation; Content-Type → how a body is read. Pure; the words of refusals are kube-apiserver's.

Protobuf is for types that have such a form: where a client lists it before JSON for another one it gets JSON, where it
accepts nothing else 406. No Table has one. CBOR is unknown here, as to a kube-apiserver with that gate off.
"""

from functools import lru_cache
from typing import NamedTuple

from kcpshard.api.errors import NotAcceptable

JSON, YAML = "application/json", "application/yaml"
TABLE, PARTIAL, PARTIAL_LIST = "Table", "PartialObjectMetadata", "PartialObjectMetadataList"
PROTOBUF = "application/vnd.kubernetes.protobuf"
AVAILABLE = f"{JSON}, {YAML}, {PROTOBUF}"

BODY_TYPES = {"": JSON, JSON: JSON, YAML: YAML, "text/yaml": YAML, PROTOBUF: PROTOBUF}
PATCH_TYPES = {
    "application/json-patch+json": 1,
    "application/merge-patch+json": 2,
    "application/strategic-merge-patch+json": 3,
    "application/apply-patch+yaml": 4,
}

_REPRESENTATIONS = {
    JSON: JSON, YAML: YAML, "text/yaml": YAML, PROTOBUF: PROTOBUF, "*/*": JSON, "*": JSON, "": JSON,
}  # fmt: skip
_AGGREGATED = "APIGroupDiscoveryList"
_OPENAPI_V2 = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_OPENAPI_V3 = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"
# As clients ask for it, now and in the past → as it is answered.
OPENAPI_PROTOBUF = {
    _OPENAPI_V2: _OPENAPI_V2,
    _OPENAPI_V3: _OPENAPI_V3,
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf": _OPENAPI_V2,
    "application/com.github.proto-openapi.spec.v3@v1.0+protobuf": _OPENAPI_V3,
}


class Representation(NamedTuple):
    """How an answer is shown: `media_type`, and `as_` one of Table, PartialObjectMetadata, …List, or "" for itself."""

    media_type: str
    as_: str = ""
    version: str = ""  # of meta.k8s.io, with as_

    @property
    def plain(self) -> bool:
        return self.media_type is JSON and not self.as_


PLAIN = Representation(JSON)


class _Clause(NamedTuple):
    media_type: str
    parameters: dict[str, str]
    quality: float


def _clauses(accept: str) -> list[_Clause]:
    """The acceptable media types, best first; clauses of one quality stay in the client's order."""
    found = []
    for part in accept.split(","):
        media_type, *raw = (p.strip() for p in part.split(";"))
        parameters = {k.strip(): v.strip().strip('"') for k, _, v in (p.partition("=") for p in raw)}
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 0.0
        if quality > 0:
            found.append(_Clause(media_type.lower(), parameters, quality))
    return sorted(found, key=lambda c: -c.quality)


@lru_cache(1024)
def negotiate(
    accept: str, has_protobuf: bool = False, has_table: bool = True, streamed: bool = False
) -> Representation:
    """The representation of an object or (`streamed`) of a list or watch. Raises NotAcceptable.

    `has_protobuf`, `has_table`: its type has such a form (reviews are answers, not objects: they have no Table).
    """
    understood = False
    for media_type, parameters, _ in _clauses(accept):
        chosen = _REPRESENTATIONS.get(media_type)
        if chosen is None:
            continue
        understood = True
        as_, version = parameters.get("as", ""), parameters.get("v", "")
        if not as_:
            if chosen is PROTOBUF and not has_protobuf:
                continue
            return PLAIN if chosen is JSON else Representation(chosen)
        known = as_ in (PARTIAL, PARTIAL_LIST) or (as_ == TABLE and has_table and chosen is not PROTOBUF)
        if known and version in ("v1", "v1beta1") and parameters.get("g") == "meta.k8s.io":
            return Representation(chosen, as_, version)
    if understood:
        raise NotAcceptable(f"only the following media types are accepted: {AVAILABLE}")
    available = f"{AVAILABLE}, {_STREAMED}" if streamed else AVAILABLE
    raise NotAcceptable(f"406: Not Acceptable\n\nAvailable representations: {available}")


_STREAMED = f"{JSON};stream=watch, {PROTOBUF};stream=watch"


@lru_cache(1024)
def negotiate_watch(accept: str, has_protobuf: bool = False) -> Representation:
    """The representation of watch events: JSON lines or frames of protobuf. Raises NotAcceptable."""
    found = negotiate(accept, has_protobuf, streamed=True)
    if found.media_type is YAML:
        raise NotAcceptable(f"only the following media types are accepted: {_STREAMED}")
    return found


@lru_cache(1024)
def negotiate_status(accept: str) -> Representation:
    """The representation of a refusal: what the client reads best, else JSON."""
    for media_type, parameters, _ in _clauses(accept):
        chosen = _REPRESENTATIONS.get(media_type)
        if chosen is not None and not (chosen is PROTOBUF and parameters.get("as") == TABLE):
            return Representation(chosen)
    return PLAIN


@lru_cache(1024)
def negotiate_document(path: str, accept: str) -> str:
    """The media type of a discovery or OpenAPI document. Aggregated discovery has no protobuf; OpenAPI has
    one of its own."""
    aggregated = path in ("/api", "/apis")
    openapi = path.startswith("/openapi/")
    for media_type, parameters, _ in _clauses(accept):
        if openapi and media_type in OPENAPI_PROTOBUF:
            if OPENAPI_PROTOBUF[media_type] == _openapi_form(path):
                return _openapi_form(path)
            continue
        chosen = _REPRESENTATIONS.get(media_type)
        if chosen is None or (chosen is PROTOBUF and (openapi or "as" in parameters)):
            continue
        if not parameters.get("as"):
            return chosen
        if aggregated and _is_aggregated(parameters):
            return f"{JSON};g=apidiscovery.k8s.io;v={parameters['v']};as={_AGGREGATED}"
    raise NotAcceptable(f"406: Not Acceptable\n\nAvailable representations: {AVAILABLE}")


def _openapi_form(path: str) -> str:
    """The protobuf media type of an OpenAPI document; "" for the list of those of version 3, which has none."""
    if path == "/openapi/v2":
        return _OPENAPI_V2
    return _OPENAPI_V3 if path.startswith("/openapi/v3/") else ""


def _is_aggregated(parameters: dict[str, str]) -> bool:
    return (
        parameters["as"] == _AGGREGATED
        and parameters.get("g") == "apidiscovery.k8s.io"
        and parameters.get("v") in ("v2", "v2beta1")
    )


def media_type(content_type: str | None) -> str:
    """The media type of a Content-Type header without its parameters."""
    return (content_type or "").partition(";")[0].strip().lower()


_BROWSERS = ("curl", "Wget", "Mozilla/")


def is_pretty(value: str, present: bool, user_agent: str) -> bool:
    """Whether JSON is to be indented: asked for, or read by a human as far as the user agent tells."""
    if present:
        return value not in ("0", "false")
    return user_agent.startswith(_BROWSERS)
