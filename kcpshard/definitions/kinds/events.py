"""Event in both its versions: core/v1 takes almost anything, events.k8s.io/v1 is strict and nearly immutable.

Faults name fields as core/v1 does, whatever the version asked for: so does kube-apiserver.
"""

from collections.abc import Callable, Iterator, Mapping

from kcpshard.api.errors import FieldError, invalid, required
from kcpshard.api.selectors import qualified_name_faults
from kcpshard.definitions.contract import Object
from kcpshard.definitions.strategies import Rules, field_text

_MAX_TEXT, _MAX_NOTE = 128, 1024
_TOO_LONG = "can have at most 128 characters"
_MISMATCH = "does not match event.namespace"
_REFERENCE_MEMBERS = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


def _core(obj: Object) -> Iterator[FieldError]:
    return _legacy(obj, "involvedObject", "reportingComponent", "reportingComponent", "message")


def _new(obj: Object) -> Iterator[FieldError]:
    return _legacy(obj, "regarding", "reportingController", "reportingController", "note")


def _legacy(obj: Object, regarding: str, controller: str, shown_controller: str, note: str) -> Iterator[FieldError]:
    namespace = obj["metadata"].get("namespace", "")
    about = (obj.get(regarding) or {}).get("namespace", "")
    if not obj.get("eventTime"):
        if (about or "default") != namespace:
            yield invalid("involvedObject.namespace", about, _MISMATCH)
        return
    if not about and namespace not in ("default", "kube-system"):
        yield invalid("involvedObject.namespace", about, _MISMATCH)
    reporter = obj.get(controller, "")
    if not reporter:
        yield required(shown_controller)
    yield from (invalid(shown_controller, reporter, text) for text in qualified_name_faults(reporter))
    for member in ("reportingInstance", "action", "reason"):
        if not obj.get(member):
            yield required(member)
        elif len(obj[member]) > _MAX_TEXT:
            yield invalid(member, "", _TOO_LONG)
    if len(obj.get(note, "")) > _MAX_NOTE:
        yield invalid("message", "", "can have at most 1024 characters")


def _new_create(obj: Object) -> Iterator[FieldError]:
    if not obj.get("eventTime"):
        yield required("eventTime")
    yield from _series(obj)
    if obj.get("type", "") not in ("Normal", "Warning"):
        yield invalid("type", "", f"has invalid value: {obj.get('type', '')}")
    unset = "needs to be unset"
    if obj.get("deprecatedFirstTimestamp"):
        yield invalid("firstTimestamp", "", unset)
    if obj.get("deprecatedLastTimestamp"):
        yield invalid("lastTimestamp", "", unset)
    if obj.get("deprecatedCount"):
        yield invalid("count", "", unset)
    if obj.get("deprecatedSource"):
        yield invalid("source", "", unset)


def _series(obj: Object) -> Iterator[FieldError]:
    series = obj.get("series")
    if series is not None:
        if series.get("count", 0) < 2:
            yield invalid("series.count", "", "should be at least 2")
        if not series.get("lastObservedTime"):
            yield required("series.lastObservedTime")


_IMMUTABLE = (
    ("regarding", "involvedObject"), ("reason", "reason"), ("note", "message"), ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"), ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"), ("type", "type"), ("eventTime", "eventTime"), ("action", "action"),
    ("related", "related"), ("reportingController", "reportingController"),
    ("reportingInstance", "reportingInstance"),
)  # fmt: skip


def _new_update(new: Object, old: Object) -> Iterator[FieldError]:
    yield from _new(new)
    for member, shown in _IMMUTABLE:
        if (new.get(member) or None) != (old.get(member) or None):
            yield invalid(shown, _shown(member, new.get(member)), "field is immutable")
    yield from _series(new)


def _shown(member: str, value: object) -> object:
    if member in ("regarding", "related"):
        reference = value if isinstance(value, dict) else {}
        return {_go_name(m): reference.get(m, "") for m in _REFERENCE_MEMBERS}
    if member == "deprecatedSource":
        source = value if isinstance(value, dict) else {}
        return {"Component": source.get("component", ""), "Host": source.get("host", "")}
    return value


def _go_name(member: str) -> str:
    return {"uid": "UID", "apiVersion": "APIVersion"}.get(member, member[:1].upper() + member[1:])


_FIELDS = (
    *((f"involvedObject.{m}", ("involvedObject", m)) for m in _REFERENCE_MEMBERS),
    ("reason", ("reason",)),
    ("reportingComponent", ("reportingComponent",)),
    ("source", ("source", "component")),
    ("type", ("type",)),
)


def _selectable(obj: Object) -> Mapping[str, str]:
    """`source` is the reporting component where the old field is empty."""
    found = {label: field_text(obj, path) for label, path in _FIELDS}
    found["source"] = found["source"] or found["reportingComponent"]
    return found


_core_check: Callable[[Object], Iterator[FieldError]] = _core

# Only the stored version's `fields_from` runs.
_ALIASES = {
    **{f"regarding.{m}": f"involvedObject.{m}" for m in _REFERENCE_MEMBERS},
    "reportingController": "reportingComponent",
    **{label: label for label in ("reason", "type")},
}

ROWS = {
    ("", "Event"): Rules(validate=(_core_check,), fields=_FIELDS, fields_from=_selectable),
    ("events.k8s.io", "Event"): Rules(
        validate_create=(_new, _new_create), validate_update=(_new_update,), field_aliases=_ALIASES
    ),
}
