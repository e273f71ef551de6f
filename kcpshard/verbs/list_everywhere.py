"""list over many logical clusters: the objects of one type, as one cut at the revision that all shards read at.

The stored bytes pass through; the annotation that says where an object lives is put in between. Slices are read at the
cut's revision with the loop free in between, in the order of ids; a page goes on from the last object given.
"""

from collections.abc import AsyncIterator, Sequence
from functools import partial

from kcpshard.api.errors import ApiError, BadRequest, PageNotFound, resource_not_found
from kcpshard.api.requests import Answer, ListInfo, Request
from kcpshard.api.resource_versions import ContinueToken, decode_continue, encode_continue, expired_list
from kcpshard.api.unconverted import NotConverted
from kcpshard.authorization.attributes import Attributes
from kcpshard.definitions.contract import Resource
from kcpshard.storage.contract import Compacted, Group, NotDurable, ScanItem
from kcpshard.storage.durability import durable
from kcpshard.storage.wildcard_reads import Position, WildcardScan
from kcpshard.verbs.cut import cut
from kcpshard.verbs.list_options import Selection, selection_of
from kcpshard.verbs.outcome import Outcome
from kcpshard.verbs.served_selection import Chooser, chooser
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.target import is_in_scope, method_not_allowed
from kcpshard.verbs.wildcard_view import Place as SeenPlace
from kcpshard.verbs.wildcard_view import WildcardView, view_for

_SLICE, _CLUSTERS = 256, 64  # objects and logical clusters looked at before the loop is free again: a millisecond
_SLICE_BYTES = 512 * 1024
_PIECE_BYTES = 256 * 1024
_TRIES = 20  # of a slice whose objects a webhook converts, one at a time


def list_everywhere(shard: Shard, request: Request) -> Outcome:
    """Raises BadRequest, NotFound, MethodNotAllowed, Unauthorized, Forbidden."""
    view = view_of(shard, request, "list")
    resource = view.resource
    if resource is None:
        raise PageNotFound() if request.group else resource_not_found()
    if not is_in_scope(resource, request) or request.name or request.subresource or "list" not in resource.verbs:
        raise method_not_allowed()
    selection = selection_of(request, resource)
    after = position_of(request.continue_token)
    waiting = cut(shard, request.cut)
    reader = Reader(shard, view, resource, request, selection, after)
    return _pieces(shard, request, reader, waiting)


def view_of(shard: Shard, request: Request, verb: str) -> WildcardView:
    wanted = Attributes(verb, request.group, request.version, request.resource, "", request.namespace)
    return view_for(shard, request, wanted)


def position_of(text: str) -> Position | None:
    """Raises BadRequest."""
    if not text:
        return None
    token = decode_continue(text)
    if token.revision:
        raise BadRequest("invalid continue token: it is not of a list of many logical clusters")
    return Position(token.cluster_id, token.namespace, token.name)


async def _pieces(shard: Shard, request: Request, reader: "Reader", waiting: Group | None) -> AsyncIterator[Answer]:
    if waiting is not None:
        await durable(waiting)
    columns = reader.columns if request.want_columns else b""
    warnings = (reader.deprecation,) if reader.deprecation else ()
    code, parts, size, begun = 200, list[bytes](), 0, False
    while True:
        for body in await _slice(reader):
            parts.append(body)
            size += len(body)
        if size >= _PIECE_BYTES and not reader.is_done:
            piece = b",".join(parts)
            yield Answer(code, b"," + piece if begun else piece, None, warnings, columns)
            code, parts, size, begun, columns, warnings = 0, [], 0, True, b"", ()
        if reader.is_done:
            break
        await shard.turn(request.cluster)
    last = b",".join(parts)
    yield Answer(code, b"," + last if begun and parts else last, reader.info(), warnings, columns)


async def _slice(reader: "Reader") -> list[bytes]:
    """Raises ApiError."""
    for _ in range(_TRIES):
        try:
            return reader.next_slice()
        except NotDurable as reason:
            await durable(reason.group)
        except NotConverted as reason:
            await reason.settle()
    raise ApiError("objects of this type are converted too slowly")


class Reader:
    def __init__(
        self, shard: Shard, view: WildcardView, resource: Resource, request: Request, selection: Selection,
        after: Position | None,
    ) -> None:  # fmt: skip
        self.revision = request.cut or shard.store.durable_revision
        self._resource, self._view, self._selection = resource, view, selection
        place = (view.group_resource, request.namespace, self.revision, view.retention)
        self._open = partial(shard.store.scan_all, *place, sees=view.place)
        self._scan: WildcardScan = self._open(after=after)
        self._left = request.limit or -1  # -1: no limit
        self._at = after
        self._slice = 64
        self._more = False
        self.given = 0
        self.is_done = False

    @property
    def columns(self) -> bytes:
        return self._resource.columns

    @property
    def deprecation(self) -> str:
        return self._resource.deprecation

    def next_slice(self) -> list[bytes]:
        """Bodies; the same again if it raises NotDurable or NotConverted."""
        at = self._at
        try:
            return self._next()
        except Compacted:
            raise expired_list() from None
        except (NotDurable, NotConverted):
            self._at = at
            self._scan = self._open(after=at)
            raise

    def _next(self) -> list[bytes]:
        bodies: list[bytes] = []
        size = read = 0
        is_whole = not self._selection and self._left < 0
        for cluster_id, _, items, place in self._scan.next_slice(self._slice, _CLUSTERS):
            if is_whole and place.labels is None:
                make = place.body
                bodies += [make(item.value) for item in items]
                self._at = Position(cluster_id, items[-1].namespace, items[-1].name)
                read += len(items)
                size += _size(items)
                continue
            shown = items if place.labels is None else [item for item in items if place.shows(item.value)]
            chosen = self._chooser(place).chosen(list(shown)) if self._selection else shown
            make = place.body
            for item in chosen:
                if self._left == len(bodies):
                    return self._full(bodies)
                bodies.append(make(item.value))
                self._at = Position(cluster_id, item.namespace, item.name)
            read += len(items)
            size += _size(items)
        if read:
            self._slice = max(8, min(_SLICE, _SLICE_BYTES // (size // read + 1)))
        self.is_done = self._scan.is_done
        return self._count(bodies)

    def _chooser(self, place: SeenPlace) -> Chooser:
        """Selectors judge what is served there."""
        return chooser(place.resource, self._selection, place.served)

    def _full(self, bodies: list[bytes]) -> list[bytes]:
        """The page is, and something follows."""
        self._more = self.is_done = True
        return self._count(bodies)

    def _count(self, bodies: list[bytes]) -> list[bytes]:
        self.given += len(bodies)
        if self._left >= 0:
            self._left -= len(bodies)
        return bodies

    def info(self) -> ListInfo:
        resource, token = self._resource, ""
        if self._more and self._at is not None:
            token = encode_continue(ContinueToken(self._at.cluster_id, 0, self._at.namespace, self._at.name))
        return ListInfo(self.revision, token, -1, resource.api_version, resource.list_kind, self.given)


def _size(items: Sequence[ScanItem]) -> int:
    return sum([len(item.value) for item in items])
