"""list: the objects of one type, of one namespace or all, in key order, as one cut.

Bodies are the stored bytes joined; selectors look at envelope headers; nothing is decoded. Up to 512 objects and about
a megabyte are answered in the loop turn; what is longer comes in pieces, all read at the revision of the first slice,
with the loop free in between. A page without a limit is never longer than the state it shows, so no bound is needed.
"""

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TypeVar

import orjson

from kcpshard.api import points_in_time
from kcpshard.api.errors import TooManyRequests
from kcpshard.api.requests import Answer, ListInfo, Request
from kcpshard.api.resource_versions import ContinueToken, encode_continue, expired_continue, expired_list
from kcpshard.api.unconverted import NotConverted
from kcpshard.definitions.contract import Resource
from kcpshard.storage import envelope
from kcpshard.storage.contract import Compacted, LogicalCluster, NotDurable, ScanItem
from kcpshard.verbs.get import past_revision, served_bodies, served_body, wait_for_revision
from kcpshard.verbs.list_options import ListOptions, list_options
from kcpshard.verbs.outcome import Outcome
from kcpshard.verbs.served_selection import Chooser, ServedSelection, chooser
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.target import Target, find_target

_FIRST_SLICE = 64
_MAX_SLICE = 256
_CONVERTED_SLICE = 64  # ~50 µs each, if each has to be decoded
_SLICE_BYTES = 512 * 1024  # what one slice should copy: ~0.2 ms
_TURN_OBJECTS = 512
_TURN_BYTES = 1024 * 1024
_PIECE_BYTES = 256 * 1024
# Objects of a namespace counted for remainingItemCount, in the loop turn; beyond that it stays unknown.
_MAX_COUNTED = 512
_TRIES = 3
T = TypeVar("T")


def list_objects(shard: Shard, request: Request) -> Outcome:
    target = find_target(shard, request, "list", pending=False)
    options = list_options(request, target.resource, target.cluster)
    if request.at and options.token is None:
        options = options._replace(exact=past_revision(shard, request), minimum=0, is_past=True)
    wanted = options.exact or options.minimum
    if wanted > shard.store.durable_revision:
        found: Outcome = _list_later(shard, request, target, options, wanted)
    else:
        found = _list_now(shard, request, target, options)
    return _warned(found, target.resource.deprecation) if target.resource.deprecation else found


def _warned(outcome: Outcome, text: str) -> Outcome:
    """With a warning beside the list, or its first piece."""
    if isinstance(outcome, Answer):
        return outcome._replace(warnings=(text, *outcome.warnings))
    assert isinstance(outcome, AsyncIterator)
    return _warned_pieces(outcome, text)


async def _warned_pieces(pieces: AsyncIterator[Answer], text: str) -> AsyncIterator[Answer]:
    warnings: tuple[str, ...] = (text,)
    async for piece in pieces:
        yield piece._replace(warnings=warnings) if warnings else piece
        warnings = ()


async def _list_later(
    shard: Shard, request: Request, target: Target, options: ListOptions, wanted: int
) -> AsyncIterator[Answer]:
    await wait_for_revision(shard, wanted)
    found = _list_now(shard, request, target, options)
    if isinstance(found, Answer):
        yield found
        return
    async for piece in found:
        yield piece


def _list_now(shard: Shard, request: Request, target: Target, options: ListOptions) -> Answer | AsyncIterator[Answer]:
    if target.cluster is None:
        return empty_list(shard, target.resource)
    columns = target.resource.columns if request.want_columns else b""
    if target.resource.definition is not None and target.resource.definition.asks_webhook:
        return _converted_pieces(
            shard, target.resource, Reader(shard, target.cluster, target, request.namespace, options), columns
        )
    reader = Reader(shard, target.cluster, target, request.namespace, options)
    bodies: list[bytes] = []
    size = 0
    while len(bodies) < _TURN_OBJECTS and size < _TURN_BYTES and not reader.is_done:
        found = served_bodies(shard, target.resource, [item.value for item in reader.next_slice()])
        bodies += found
        size += sum(map(len, found))
        if reader.slices > _TURN_OBJECTS // _FIRST_SLICE:
            break  # a selector that matches little: do not read on in this turn
    if reader.is_done:
        return Answer(200, b",".join(bodies), reader.info(), columns=columns)
    return _pieces(shard, target.resource, reader, bodies, columns)


def empty_list(shard: Shard, resource: Resource) -> Answer:
    """What a logical cluster that is not born yet shows."""
    return Answer(200, b"", _info(resource, shard.store.durable_revision, "", -1))


async def _converted_pieces(
    shard: Shard, resource: Resource, reader: "Reader", columns: bytes
) -> AsyncIterator[Answer]:
    """As `_pieces`, of objects that a webhook may have to convert: those of a slice in one review."""
    code, begun = 200, False
    while True:
        objects = await next_converted(shard, resource, reader)
        bodies = await converted_bodies(shard, resource, objects)
        piece = b",".join(bodies)
        if begun and piece:
            piece = b"," + piece
        if reader.is_done:
            yield Answer(code, piece, reader.info(), columns=columns)
            return
        if piece:
            yield Answer(code, piece, columns=columns)
            code, columns, begun = 0, b"", True


async def converted_bodies(shard: Shard, resource: Resource, objects: list[ScanItem]) -> list[bytes]:
    """In the version of `resource`; waits only if a webhook has to convert some of them. Raises ApiError."""
    values = [item.value for item in objects]
    return await _with_converted(shard, resource, objects, lambda: served_bodies(shard, resource, values))


async def next_converted(shard: Shard, resource: Resource, reader: "Reader") -> list[ScanItem]:
    """`next_slice`, also where a webhook has to say first what selectors judge by. Time passes. Raises ApiError."""
    items = reader.read_slice()
    reader.leave_turn()
    if not reader.judges_served:
        return reader.choose(items)
    return await _with_converted(shard, resource, items, lambda: reader.choose(items))


async def _with_converted(shard: Shard, resource: Resource, items: list[ScanItem], decide: Callable[[], T]) -> T:
    """What `decide` gives once the webhook, if there is one, has converted those of another version."""
    if resource.definition is None or not resource.definition.asks_webhook:
        return decide()
    others = [o.value for o in items if envelope.api_version(o.value) != resource.api_version]
    for _ in range(_TRIES):
        if others:
            await shard.catalog.prepare([orjson.loads(envelope.body(value)) for value in others], resource)
        try:
            return decide()
        except NotConverted:
            continue  # forgotten meanwhile: many convert much at the same time
    raise TooManyRequests("too many objects are being converted", retry_after_s=1)


async def _pieces(
    shard: Shard, resource: Resource, reader: "Reader", bodies: list[bytes], columns: bytes
) -> AsyncIterator[Answer]:
    """What has been read and what is to come, in pieces of about 256 kB."""
    code, waiting, size = 200, [], 0
    begun = False
    reader.leave_turn()
    while True:
        for body in bodies:
            waiting.append(body)
            size += len(body)
            if size >= _PIECE_BYTES:
                piece = b",".join(waiting)
                yield Answer(code, b"," + piece if begun else piece, columns=columns)
                begun, waiting, size, code, columns = True, [], 0, 0, b""
        if reader.is_done:
            break
        await reader.breathe()
        bodies = served_bodies(shard, resource, [item.value for item in reader.next_slice()])
    last = b",".join(waiting)
    yield Answer(code, b"," + last if begun and waiting else last, reader.info(), columns=columns)


class Reader:
    """Reads one list slice by slice at one revision; knows when it is complete and what goes around it."""

    def __init__(
        self, shard: Shard, cluster: LogicalCluster, target: Target, namespace: str, options: ListOptions
    ) -> None:
        self._store, self._cluster, self._target, self._turn = shard.store, cluster, target, shard.turn
        self._namespace, self._options = namespace, options
        self._chooser: Chooser = options.selection
        self.judges_served, self._max_slice = False, _MAX_SLICE
        if target.resource.definition is not None:
            self._chooser = chooser(target.resource, options.selection, partial(served_body, shard, target.resource))
            self.judges_served = isinstance(self._chooser, ServedSelection)
            if self.judges_served or target.resource.storage_resource is not None:
                self._max_slice = _CONVERTED_SLICE
        self._token = options.token
        self._after = (options.token.namespace, options.token.name) if options.token else None
        # The newest state is the durable state of this moment; from then on it is that revision.
        self.revision = options.exact or shard.store.durable_revision
        self._is_newest = not options.exact
        self._left = options.limit or -1  # -1: no limit
        self._slice = _FIRST_SLICE
        self._more = False  # the page is full and something follows
        self._is_last = False  # nothing follows the slice that was read
        self._delivered = 0
        self.slices = 0
        self.is_done = False
        has_place = bool(namespace) or not target.stored.namespaced
        self._name = options.selection.fields.name if self._is_newest and has_place and not options.token else ""

    def next_slice(self) -> list[ScanItem]:
        """The next objects of the list; none does not mean done. Raises Expired if the state is no longer kept."""
        return self.choose(self.read_slice())

    def read_slice(self) -> list[ScanItem]:
        """The first half of `next_slice`: what is there, to be given to `choose` before the next one is read."""
        self.slices += 1
        if self._name:
            return self._only_one()
        wanted = self._slice
        if self._left >= 0 and not self._chooser:
            wanted = min(wanted, self._left + 1)
        items = self._scan(wanted)
        self._is_last = len(items) < wanted
        if items:
            size = sum([len(value) for _, _, value in items]) // len(items) + 1
            self._slice = max(8, min(self._max_slice, _SLICE_BYTES // size))
        return items

    def choose(self, items: list[ScanItem]) -> list[ScanItem]:
        """The second half. Raises NotConverted, having changed nothing."""
        chosen = self._chooser.chosen(items) if self._chooser else items
        has_limit, is_last = self._left >= 0, self._is_last
        if has_limit and len(chosen) > self._left:
            chosen = chosen[: self._left]
            self._more = True
            is_last = True
        if has_limit:
            self._left -= len(chosen)
        self._delivered += len(chosen)
        at = chosen[-1] if self._more else items[-1] if items else None
        if at is not None:
            self._after = (at.namespace, at.name)
        self.is_done = is_last
        return chosen

    async def breathe(self) -> None:
        """Between two slices."""
        await self._turn(self._cluster.path)

    def leave_turn(self) -> None:
        """From here on time passes: the newest state is no longer that of `revision`."""
        self._is_newest = False

    def _only_one(self) -> list[ScanItem]:
        """The field selector names the object: no need to look at the others."""
        self._is_last = True
        namespace, stored = self._namespace, self._target.stored
        arguments = (self._cluster, stored.group_resource, namespace, self._name)
        try:
            value = self._store.get(*arguments)
        except NotDurable:
            value = self._store.get_at(*arguments, self.revision, stored.retention)
        if value is None:
            return []
        return [ScanItem(namespace, self._name, value)]

    def _scan(self, limit: int) -> list[ScanItem]:
        stored, namespace = self._target.stored, self._namespace
        arguments = (self._cluster, stored.group_resource, namespace)
        if self._is_newest:
            try:
                return self._store.scan(*arguments, 0, self._after, limit, stored.retention)
            except NotDurable:
                # Something here is being written. The durable cut is there to be read without waiting for it.
                self._is_newest = False
        try:
            return self._store.scan(*arguments, self.revision, self._after, limit, stored.retention)
        except Compacted as error:
            raise self._expired(error.oldest) from None

    def _expired(self, oldest: int) -> Exception:
        if self._options.is_past and not self._delivered:
            return points_in_time.too_old(oldest)
        if self._token is None and not self._delivered:
            return expired_list()
        after = self._after or ("", "")
        return expired_continue(encode_continue(ContinueToken(self._cluster.id, 0, *after)))

    def info(self) -> ListInfo:
        resource = self._target.resource
        if not self._more or self._after is None:
            return _info(resource, self.revision, "", -1)
        remaining = -1 if self._options.selection else self._remaining()
        token = ContinueToken(self._cluster.id, self.revision, *self._after, remaining)
        return _info(resource, self.revision, encode_continue(token), remaining)

    def _remaining(self) -> int:
        """How many objects follow this page; -1 if counting them would take long."""
        if self._token is not None and self._token.remaining >= 0:
            return max(self._token.remaining - self._delivered, 1)
        stored = self._target.stored
        if not self._namespace and self._token is None and self.revision == self._store.durable_revision:
            return max(self._store.count(self._cluster, stored.group_resource) - self._delivered, 1)
        if self._namespace and self._token is None and self.revision == self._store.durable_revision:
            total = self._store.count_in_namespace(self._cluster, stored.group_resource, self._namespace)
            if total >= 0:
                return max(total - self._delivered, 1)
        after, counted = self._after, 0
        while counted < _MAX_COUNTED:
            items = self._store.scan(
                self._cluster,
                stored.group_resource,
                self._namespace,
                self.revision,
                after,
                _MAX_SLICE,
                stored.retention,
            )
            counted += len(items)
            if len(items) < _MAX_SLICE:
                return counted
            after = (items[-1].namespace, items[-1].name)
        return -1


def _info(resource: Resource, revision: int, token: str, remaining: int) -> ListInfo:
    return ListInfo(revision, token, remaining, resource.api_version, resource.list_kind)
