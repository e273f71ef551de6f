"""Objects from one version of a built-in kind to another. Pure; the given object is never changed.

Versions that differ only in apiVersion need no entry here. core/v1 and events.k8s.io/v1 Events are one stored object
with different field names (k8s.io/kubernetes conversion of events).
"""

from collections.abc import Callable
from typing import Any

from kcpshard.definitions import autoscaler_conversion
from kcpshard.definitions.contract import Object, Resource
from kcpshard.definitions.legacy_definitions import V1, V1BETA1, to_current, to_legacy

# core/v1 field → events.k8s.io/v1 field. All other fields have the same name on both sides.
_EVENT_FIELDS = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_EVENT_FIELDS_BACK = {new: old for old, new in _EVENT_FIELDS.items()}

# What each version writes for fields nobody set; elsewhere they are left out.
_EVENT_EMITTED: dict[str, dict[str, Any]] = {
    "v1": {
        "involvedObject": {}, "source": {}, "firstTimestamp": None, "lastTimestamp": None, "eventTime": None,
        "reportingComponent": "", "reportingInstance": "",
    },
    "events.k8s.io/v1": {
        "regarding": {}, "deprecatedSource": {}, "deprecatedFirstTimestamp": None, "deprecatedLastTimestamp": None,
        "eventTime": None,
    },
}  # fmt: skip


def convert(obj: Object, wanted: Resource) -> Object:
    """`obj` in the version of `wanted`: a new outer dict; inner values may be shared."""
    converter = _CONVERTERS.get((obj.get("apiVersion", ""), wanted.api_version, wanted.kind))
    new = converter(obj) if converter else dict(obj)
    new["apiVersion"], new["kind"] = wanted.api_version, wanted.kind
    return new


def _event(obj: Object, names: dict[str, str], version: str) -> Object:
    emitted = _EVENT_EMITTED[version]
    new = dict(emitted)
    for key, value in obj.items():
        key = names.get(key, key)
        if key in emitted or value not in ("", None):
            new[key] = value
    return new


def _event_to_new(obj: Object) -> Object:
    return _event(obj, _EVENT_FIELDS, "events.k8s.io/v1")


def _event_to_core(obj: Object) -> Object:
    return _event(obj, _EVENT_FIELDS_BACK, "v1")


_CONVERTERS: dict[tuple[str, str, str], Callable[[Object], Object]] = {
    ("v1", "events.k8s.io/v1", "Event"): _event_to_new,
    ("events.k8s.io/v1", "v1", "Event"): _event_to_core,
    (V1BETA1, V1, "CustomResourceDefinition"): to_current,
    (V1, V1BETA1, "CustomResourceDefinition"): to_legacy,
    ("autoscaling/v2", "autoscaling/v1", "HorizontalPodAutoscaler"): autoscaler_conversion.to_v1,
    ("autoscaling/v1", "autoscaling/v2", "HorizontalPodAutoscaler"): autoscaler_conversion.to_v2,
}
