"""A StartWatch judged: which objects in which form, from where on, or why not.

Decides like the verbs do: ownership, logical cluster, resource type, selectors, then the revision. Raises ApiError,
NotOwned, NotDurable, `NotReached` (ask again when this shard has got there). Leaves reading and queues to `watch_link`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple
from weakref import WeakValueDictionary

import orjson

from kcpshard.api.errors import ApiError, Cause, Timeout, resource_not_found
from kcpshard.api.events import Change, EventType
from kcpshard.api.names import is_wildcard
from kcpshard.api.resource_versions import expired
from kcpshard.api.selectors import FieldSelector, parse_field_selector, parse_label_selector
from kcpshard.api.unconverted import NotConverted
from kcpshard.authorization.policy import ALLOWED
from kcpshard.definitions.contract import Resource
from kcpshard.definitions.remote_apis import UseProxy
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, NotDurable
from kcpshard.storage.wildcard_reads import Position, WildcardScan
from kcpshard.verbs import access, impersonation
from kcpshard.verbs.cut import cut
from kcpshard.verbs.outcome import NotOwned
from kcpshard.verbs.permission_policy import check_policy
from kcpshard.verbs.proofs import check_proof, prove
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.target import check_path, method_not_allowed
from kcpshard.verbs.wildcard_view import Place as SeenPlace
from kcpshard.verbs.wildcard_view import WildcardView, prove_everywhere, view_for
from kcpshard.watch.cursor import Cursor, Phase, decode_position
from kcpshard.watch.everywhere import NotReady, Place, View, WildcardCursor, decode_place
from kcpshard.watch.hub import Watch
from kcpshard.watch.selection import EVENT_TYPES, Form, Outcome, Selection, ValueReader


class NotReached(Exception):
    """The watch starts at a revision that this shard has not got to. `error` is the answer if it never does in time."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.error = error


class Beginning(NamedTuple):
    resource: Resource | None  # None: of many logical clusters, and no one here serves the type yet
    selection: Selection
    cursor: Cursor[LogicalCluster] | WildcardCursor | None  # None: the logical cluster is not born yet
    identity: bytes  # as whom
    audit: bytes  # as WatchStarted.audit
    view: View | None = None  # of many logical clusters


# What limits watches once they are judged: as whom it would begin. Raises TooManyRequests.
LetIn = Callable[[pb.StartWatch, bytes], None]


class WatchStarts:
    """Judges StartWatch messages. Selections and forms in use are shared: ten thousand alike cost as one."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self.check_owned = shard.ownership.check
        self.let_in: LetIn = lambda _start, _identity: None
        self._forms: WeakValueDictionary[Resource, _ResourceForm] = WeakValueDictionary()
        self._selections: WeakValueDictionary[tuple[Form, str, str, str, str], Selection] = WeakValueDictionary()

    def judge(self, start: pb.StartWatch) -> Beginning:
        if start.view or is_wildcard(start.cluster):
            return self._judge_everywhere(start)
        if start.proof:
            check_proof(self._shard, start)  # first: whoever acts as somebody else has proved who they are
        record = access.Record(start.identity)
        if start.impersonation:
            start = impersonation.effective(self._shard, start, access.watch_wanted(start))
            record.impersonated = start.identity
        self.check_owned(start.cluster)
        cluster = self._shard.store.find_cluster(start.cluster)
        record.decision = access.check_watch(self._shard, start, cluster)
        check_path(cluster, start.cluster)
        if start.group and self._shard.catalog.remote_api(cluster, start.group, start.version) is not None:
            raise UseProxy()
        resource = self._shard.catalog.find(cluster, start.group, start.version, start.resource)
        if resource is None or (start.namespace and not resource.namespaced):
            raise resource_not_found()
        if resource.definition is not None:
            check_policy(self._shard, cluster, start.identity, access.watch_wanted(start))
        if "watch" not in resource.verbs:
            raise method_not_allowed()
        selection = self._selection(start, resource)
        self._check_reached(start)
        cursor = self._cursor(start, cluster, resource, selection)
        audit = record.encode() if start.audit_id else b""
        return Beginning(resource, selection, cursor, start.identity, audit)

    def _judge_everywhere(self, start: pb.StartWatch) -> Beginning:
        place = (start.group, start.version, start.resource, start.namespace, start.name, start.field_selector)
        view = view_for(self._shard, start, access.watched(*place))
        resource = view.resource
        if resource is not None and (start.namespace and not resource.namespaced):
            raise resource_not_found()
        if resource is not None and "watch" not in resource.verbs:
            raise method_not_allowed()
        selection = _selection_everywhere(start, resource)
        if waiting := cut(self._shard, max(start.revision, start.minimum_revision, start.initial_revision)):
            raise NotDurable(waiting)
        seen = WatchedView(view, selection, self._form)
        cursor = self._cursor_everywhere(start, view, seen)
        record = access.Record(view.identity)
        record.decision = ALLOWED  # what may not be seen is left out
        audit = record.encode() if start.audit_id else b""
        return Beginning(resource, selection, cursor, view.identity, audit, seen)

    def _cursor_everywhere(self, start: pb.StartWatch, view: WildcardView, seen: View) -> WildcardCursor:
        store, group_resource, retention = self._shard.store, view.group_resource, view.retention

        def scan(revision: int, after: Place | None) -> WildcardScan:
            position = Position(*after) if after is not None else None
            return store.scan_all(group_resource, start.namespace, revision, retention, position, view.place)

        if not start.initial:
            revision = start.revision or store.durable_revision
            return WildcardCursor(group_resource, retention, seen, Phase.REPLAY, revision, None, scan)
        after = decode_place(start.initial_after) if start.initial_after else None
        revision = start.initial_revision or store.durable_revision
        return WildcardCursor(group_resource, retention, seen, Phase.INITIAL, revision, after, scan)

    def may_go_on(self, watch: Watch, cluster: LogicalCluster) -> None:
        """Raises Forbidden or Unauthorized if whoever began the watch has lost the right to it or is nobody now."""
        if watch.proof:
            self.is_still_proved(watch)
        form = watch.selection.form
        assert isinstance(form, _ResourceForm)
        place = (form.resource.group, form.resource.version, form.resource.plural)
        selection = watch.selection
        wanted = access.watched(*place, selection.namespace, selection.name)
        if selection.fields is not None:
            wanted = wanted._replace(fields=selection.fields.terms, name=wanted.name or selection.fields.name)
        if selection.labels is not None:
            wanted = wanted._replace(labels=selection.labels.requirements)
        self._shard.authorizer.check(cluster, watch.path, watch.identity, wanted)

    def is_still_proved(self, watch: Watch) -> None:
        """Raises Unauthorized if the credential that the watch began with is worth nothing any more."""
        # One whose logical cluster has moved is told that, and proves itself anew there.
        with suppress(NotOwned):
            if watch.view is not None:
                prove_everywhere(self._shard, watch.proof)
            else:
                prove(self._shard, watch.path, watch.proof, watch.identity)

    def is_served(self, watch: Watch, cluster: LogicalCluster) -> bool:
        """Whether the type that the watch began with is still what its logical cluster defines."""
        form = watch.selection.form
        resource = form.resource if isinstance(form, _ResourceForm) else None
        if resource is None or resource.definition is None:
            return True
        place = (resource.group, resource.version, resource.plural)
        return self._shard.catalog.find(cluster, *place) is resource

    def _check_reached(self, start: pb.StartWatch) -> None:
        """A revision of another shard is as good as ours: adopting a logical cluster raises this shard's clock."""
        wanted = max(start.revision, start.minimum_revision, start.initial_revision)
        if wanted > (newest := self._shard.store.durable_revision):
            raise NotReached(too_large(wanted, newest))

    def _cursor(
        self, start: pb.StartWatch, cluster: LogicalCluster | None, resource: Resource, selection: Selection
    ) -> Cursor[LogicalCluster] | None:
        if start.resumed and start.cluster_id and (cluster is None or cluster.id != start.cluster_id):
            # What the watcher has seen was another incarnation's.
            raise expired(start.revision, cluster.created_revision if cluster else self._shard.store.durable_revision)
        if cluster is None:
            return None
        phase, revision, after = Phase.REPLAY, start.revision, None
        if start.initial:
            phase, revision = Phase.INITIAL, start.initial_revision
            after = decode_position(start.initial_after) if start.initial_after else None
        elif not revision:
            revision = self._shard.store.durable_revision
        # The revision just before the birth is that of a watcher who has seen nothing of it yet.
        before_birth = cluster.created_revision - 1
        if revision and revision < before_birth:
            if not start.resumed or phase is Phase.INITIAL:
                raise expired(revision, cluster.created_revision)
            # It waited for the birth, which came during a break; another may have followed before its first event.
            revision = before_birth
        where = (resource.group_resource, resource.retention)
        return Cursor(cluster, *where, selection, phase, revision, after)

    def _selection(self, start: pb.StartWatch, resource: Resource) -> Selection:
        form = self._form(resource)
        key = (form, start.namespace, start.name, start.label_selector, start.field_selector)
        found = self._selections.get(key)
        if found is None:
            labels = parse_label_selector(start.label_selector) if start.label_selector else None
            fields = parse_field_selector(start.field_selector, resource.field_names) if start.field_selector else None
            name = start.name or (fields.name if fields else "")
            if fields is not None and _only_names(fields, name):
                fields = None
            found = Selection(form, start.namespace, name, labels or None, fields or None, resource.namespaced)
            self._selections[key] = found
        return found

    def _form(self, resource: Resource) -> "_ResourceForm":
        form = self._forms.get(resource)
        if form is None:
            form = self._forms[resource] = _ResourceForm(self._shard, resource)
        return form


class _ResourceForm(Form):
    """Holds its resource, so that the resource's identity is not given to another while watches use the form."""

    __slots__ = ("__weakref__", "resource")

    def __init__(self, shard: Shard, resource: Resource) -> None:
        reader: ValueReader = envelope
        super().__init__(reader, resource.api_version, partial(_convert, shard, resource), resource.fingerprint)
        self.resource = resource
        if resource.definition is not None:
            self.waits = resource.definition.asks_webhook
            self.fields, self.needs_previous = self._served_fields, True
            if self.waits:
                self.labels = self._served_labels
                self.together = partial(_together, shard, resource)

    def _served_labels(self, value: bytes) -> Mapping[str, str]:
        """A webhook may change them."""
        if not self.reader.has_body(value) or self.reader.api_version(value) == self.api_version:
            return self.reader.labels(value)
        found: Mapping[str, str] | None = orjson.loads(self.render(value))["metadata"].get("labels")
        return found or {}

    def _served_fields(self, value: bytes) -> Mapping[str, str]:
        """Another version has others, and so has an object written before the definition named them."""
        if not self.reader.has_body(value) or self.is_current(value):
            return self.reader.fields(value)
        return self.resource.strategy.selectable_fields(orjson.loads(self.render(value)))


class WatchedView:
    """What a watch of many logical clusters asked for, of what its caller may see.

    Selectors judge objects of a custom type as they are served where they live; all others by their headers.
    """

    def __init__(self, view: WildcardView, selection: Selection, form: "Callable[[Resource], _ResourceForm]") -> None:
        self._view, self._selection, self._form = view, selection, form
        self._is_by_header = selection.plain or (view.resource is not None and view.resource.definition is None)
        self.forget, self.changed = view.forget, view.changed

    def _selection_of(self, place: SeenPlace) -> Selection:
        if self._is_by_header or place.resource.definition is None:
            return self._selection
        if not isinstance(place.selection, Selection):
            place.selection = self._selection.with_form(self._form(place.resource))
        return place.selection

    def show(self, cluster_id: int, change: Change) -> tuple[int, bytes] | None:
        if not self._selection.covers(change.namespace, change.name):
            return None
        if self._is_by_header and self._selection.outcome(change) == Outcome.NOTHING:
            return None
        place = self._view.place(cluster_id)
        if place is None or not (outcome := self._selection_of(place).outcome(change)):
            return None
        if place.labels is not None and not (outcome := _within(place, change, outcome)):
            return None
        if outcome == Outcome.LEFT:
            assert change.previous is not None
            return EVENT_TYPES[outcome], place.body(change.previous, change.revision)
        return EVENT_TYPES[outcome], place.body(change.value)

    def foresee(self, cluster_id: int) -> None:
        with suppress(NotDurable, ApiError):
            self._view.place(cluster_id)

    def show_now(self, cluster_id: int, change: Change) -> tuple[int, bytes] | None:
        try:
            return self.show(cluster_id, change)
        except (NotDurable, NotConverted, ApiError) as reason:
            raise NotReady from reason

    def item(self, cluster_id: int, path: str, namespace: str, name: str, value: bytes) -> bytes | None:
        if not self._selection.covers(namespace, name):
            return None
        place = self._view.place(cluster_id, path)
        if place is None or not place.shows(value) or not self._selection_of(place).selects(namespace, name, value):
            return None
        return place.body(value)


def _within(place: SeenPlace, change: Change, outcome: int) -> int:
    """What a change is to somebody who is shown a part of the objects."""
    before = change.previous is not None and place.shows(change.previous)
    after = outcome in (Outcome.ADDED, Outcome.MODIFIED) and place.shows(change.value)
    if after:
        return outcome if before or outcome == Outcome.ADDED else Outcome.ADDED
    if not before:
        return Outcome.NOTHING
    return Outcome.DELETED if change.type == EventType.DELETED else Outcome.LEFT


def _selection_everywhere(start: pb.StartWatch, resource: Resource | None) -> Selection:
    """Of what is in the headers; see WatchedView. Raises BadRequest."""
    labels = parse_label_selector(start.label_selector) if start.label_selector else None
    names = resource.field_names if resource is not None else _PLACE_FIELDS
    fields = parse_field_selector(start.field_selector, names) if start.field_selector else None
    form = Form(_READER, "", _as_stored)
    namespaced = resource is None or resource.namespaced
    name = start.name or (fields.name if fields else "")
    return Selection(form, start.namespace, name, labels or None, fields or None, namespaced)


_READER: ValueReader = envelope
_PLACE_FIELDS = frozenset(("metadata.name", "metadata.namespace"))


def _as_stored(json: bytes) -> bytes:
    return json


def _convert(shard: Shard, resource: Resource, json: bytes) -> bytes:
    return orjson.dumps(shard.catalog.convert(orjson.loads(json), resource))


def _together(shard: Shard, resource: Resource, values: Sequence[bytes], reason: NotConverted) -> NotConverted:
    """All that the webhook would be asked for one by one."""
    others = [v for v in values if envelope.has_body(v) and envelope.api_version(v) != resource.api_version]
    if len(others) < 2:
        return reason
    objects = [orjson.loads(envelope.body(value)) for value in others]
    return NotConverted(partial(shard.catalog.prepare, objects, resource))


def _only_names(fields: FieldSelector, name: str) -> bool:
    """Whether the place (its name) says all that the selector says."""
    return bool(name) and all(t.field == "metadata.name" and t.equal and t.value == name for t in fields.terms)


def too_large(wanted: int, newest: int) -> Timeout:
    """In the words that client-go's reflector knows as "try again"."""
    text = f"Too large resource version: {wanted}, current: {newest}"
    cause = Cause("ResourceVersionTooLarge", "Too large resource version")
    return Timeout(f"Timeout: {text}", causes=[cause], retry_after_s=1)
