"""The values that cross the shard's layers: what is asked, who asks, what is answered.

`Request` and `StartWatch` are shapes only: the protobuf messages of the same names satisfy them, so the hot path
copies nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import orjson


class Request(Protocol):
    """See the message Request in proto/shard.proto for each field."""

    @property
    def id(self) -> int: ...
    @property
    def verb(self) -> int: ...
    @property
    def cluster(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def resource(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def subresource(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def identity(self) -> bytes: ...
    @property
    def impersonation(self) -> bytes: ...
    @property
    def audit_id(self) -> str: ...
    @property
    def request_id(self) -> bytes: ...
    @property
    def repeat(self) -> bool: ...
    @property
    def first_sent_us(self) -> int: ...
    @property
    def patch_type(self) -> int: ...
    @property
    def resource_version(self) -> str: ...
    @property
    def resource_version_match(self) -> str: ...
    @property
    def label_selector(self) -> str: ...
    @property
    def field_selector(self) -> str: ...
    @property
    def limit(self) -> int: ...
    @property
    def continue_token(self) -> str: ...
    @property
    def dry_run(self) -> bool: ...
    @property
    def field_manager(self) -> str: ...
    @property
    def field_validation(self) -> str: ...
    @property
    def force(self) -> bool: ...
    @property
    def duplicate_fields(self) -> Sequence[str]: ...
    @property
    def want_columns(self) -> bool: ...
    @property
    def token_review(self) -> bytes: ...
    @property
    def user_agent(self) -> str: ...
    @property
    def accept(self) -> str: ...
    @property
    def if_none_match(self) -> str: ...
    @property
    def proof(self) -> bytes: ...
    @property
    def at(self) -> str: ...
    @property
    def forwarded(self) -> bytes: ...
    @property
    def timeout_ms(self) -> int: ...
    @property
    def cut(self) -> int: ...
    @property
    def view(self) -> bytes: ...


class Identity(NamedTuple):
    """Who asks, as the front authenticated it (authentication.k8s.io UserInfo).

    `scope` is 0 for an identity of the installation, else the id of the one logical cluster (incarnation) in which it
    is somebody: there its groups count, system:masters too, and nowhere else.
    """

    username: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, Sequence[str]] = {}
    scope: int = 0

    def encode(self) -> bytes:
        return orjson.dumps(self._asdict(), option=orjson.OPT_SORT_KEYS)


_identities: dict[bytes, Identity] = {}
_MAX_IDENTITIES = 4096  # when full the cache is emptied: a decode is 2 µs


def decode_identity(raw: bytes) -> Identity:
    found = _identities.get(raw)
    if found is None:
        document = orjson.loads(raw)
        found = Identity(
            document["username"],
            document.get("uid", ""),
            tuple(document.get("groups", ())),
            document.get("extra") or {},
            document.get("scope", 0),
        )
        if len(_identities) >= _MAX_IDENTITIES:
            _identities.clear()
        _identities[raw] = found
    return found


class ListInfo(NamedTuple):
    """What goes around the items of a list."""

    revision: int
    continue_token: str
    remaining_item_count: int  # -1: not known
    api_version: str
    kind: str
    items: int = 0  # of a list of many logical clusters: how many it gives


class Answer(NamedTuple):
    """What the client gets. `body` is JSON; of a list (`info` set) the items joined by commas."""

    code: int
    body: bytes
    info: ListInfo | None = None
    warnings: Sequence[str] = ()
    columns: bytes = b""
    moved_to: int = -1  # ≥ 0: not ours; the shard to ask, 0 if the map must tell
    etag: str = ""
    content_type: str = ""
    retry_after_s: int = 0
    audit: bytes = b""  # JSON, see Response.audit; only of a request with an audit id
    head: bytes = b""  # JSON, see Response.head; only of a request that was forwarded
    flow: bytes = b""  # see Response.flow; the last one: who adds it replaces the rest


def answer_object(code: int, document: Any) -> Answer:
    return Answer(code, orjson.dumps(document))
