"""Which events a watcher sees, and in what form: ADDED and DELETED as objects enter and leave its selection.

Decides from keys and value headers; decodes nothing unless an object is stored in another version than asked for,
or under another schema.
Leaves to `cursor` and `bucket` which changes to look at.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Protocol

from kcpshard.api.events import Change, EventType
from kcpshard.api.selectors import FieldSelector, LabelSelector
from kcpshard.api.unconverted import NotConverted


class ValueReader(Protocol):
    """What is read of a stored value; the module kcpshard.storage.envelope is one."""

    def labels(self, value: bytes, /) -> Mapping[str, str]: ...
    def fields(self, value: bytes, /) -> Mapping[str, str]: ...
    def api_version(self, value: bytes, /) -> str: ...
    def fingerprint(self, value: bytes, /) -> int: ...
    def has_body(self, value: bytes, /) -> bool: ...
    def body(self, value: bytes, /) -> bytes: ...
    def body_at(self, value: bytes, at_revision: int, /) -> bytes: ...


def _alone(_values: Sequence[bytes], reason: NotConverted) -> NotConverted:
    return reason


class Form:
    """How objects of one resource type look to a watcher: the JSON as stored, or converted where versions differ.

    One instance per resource, so that watchers of the same form are told apart from others by identity.
    """

    __slots__ = (
        "api_version",
        "convert",
        "fields",
        "fingerprint",
        "labels",
        "needs_previous",
        "reader",
        "together",
        "waits",
    )

    def __init__(
        self, reader: ValueReader, api_version: str, convert: Callable[[bytes], bytes], fingerprint: int = 0
    ) -> None:
        self.reader, self.api_version, self.convert = reader, api_version, convert
        self.waits = False  # whether `convert` may raise NotConverted: such a watch is served by a cursor for ever
        # Where one of several states has to be waited for: NotConverted of all of them.
        self.together: Callable[[Sequence[bytes], NotConverted], NotConverted] = _alone
        self.fingerprint = fingerprint  # of the schema that stored JSON must have been written under; 0: any
        # By what selectors judge a state. Headers say it, unless the form is not the stored one.
        self.labels, self.fields = reader.labels, reader.fields
        self.needs_previous = False  # they need the whole state before a change, not only its header

    def is_current(self, value: bytes) -> bool:
        if self.fingerprint:
            return self.reader.fingerprint(value) == self.fingerprint
        return self.reader.api_version(value) == self.api_version

    def render(self, value: bytes) -> bytes:
        json = self.reader.body(value)
        return json if self.is_current(value) else self.convert(json)

    def render_at(self, value: bytes, revision: int) -> bytes:
        """With another resourceVersion: an object that left a selection is shown as it was, at the present revision."""
        json = self.reader.body_at(value, revision)
        return json if self.is_current(value) else self.convert(json)


class Outcome(IntEnum):
    """What a change is to a watcher. The first numbers are EventType's, so that without selectors one is the other."""

    NOTHING = 0
    ADDED = 1
    MODIFIED = 2
    DELETED = 3
    LEFT = 4  # DELETED, with the previous content


EVENT_TYPES = (0, EventType.ADDED, EventType.MODIFIED, EventType.DELETED, EventType.DELETED)


class Selection:
    """What a watch asked for within one resource type. Immutable; equal ones are one instance while in use.

    `plain`: only the place (namespace, name) decides, so the outcome is the change's own type. `single`: the place is
    one object's.
    """

    __slots__ = ("__weakref__", "fields", "form", "labels", "name", "namespace", "plain", "single")

    def __init__(
        self, form: Form, namespace: str = "", name: str = "", labels: LabelSelector | None = None,
        fields: FieldSelector | None = None, namespaced: bool = True,
    ) -> None:  # fmt: skip
        self.form, self.namespace, self.name = form, namespace, name
        self.labels, self.fields = labels, fields
        self.plain = labels is None and fields is None
        self.single = bool(name) and (bool(namespace) or not namespaced)

    def with_form(self, form: Form) -> "Selection":
        """The same of objects in another form."""
        return Selection(form, self.namespace, self.name, self.labels, self.fields, namespaced=not self.single)

    def covers(self, namespace: str, name: str) -> bool:
        """Whether an object of that key can be selected at all."""
        return (not self.namespace or self.namespace == namespace) and (not self.name or self.name == name)

    def selects(self, namespace: str, name: str, value: bytes) -> bool:
        """Whether the selectors want this state of an object that is covered."""
        form = self.form
        if self.labels is not None and not self.labels.matches(form.labels(value)):
            return False
        fields = self.fields
        if fields is None:
            return True
        if not fields.matches_place(namespace, name):
            return False
        return not fields.has_fields() or fields.matches_fields(form.fields(value))

    def outcome(self, change: Change) -> int:
        """For a covered object; one of Outcome's numbers."""
        if self.plain:
            return change.type
        _, _, _, namespace, name, value, previous = change
        if change.type == EventType.DELETED:
            # The state before decides: what goes away is what the watcher had.
            seen = self.selects(namespace, name, value if previous is None else previous)
            return Outcome.DELETED if seen else Outcome.NOTHING
        selected = self.selects(namespace, name, value)
        if previous is None:
            return Outcome.ADDED if selected else Outcome.NOTHING
        seen = self.selects(namespace, name, previous)
        if selected:
            return Outcome.MODIFIED if seen else Outcome.ADDED
        return Outcome.LEFT if seen else Outcome.NOTHING

    def show(self, change: Change, outcome: int) -> bytes:
        """The object of the event."""
        if outcome == Outcome.LEFT:
            assert change.previous is not None
            return self.form.render_at(change.previous, change.revision)
        return self.form.render(change.value)
