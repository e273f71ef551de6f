"""metadata: what a client may set, what the server sets, and every fault in it.

Decides as k8s.io/apimachinery `ValidateObjectMeta` and `ValidateObjectMetaUpdate`, in their order and words; leaves
what is particular to a kind to its strategy. managedFields are dropped on every write until
server-side apply manages them.
"""

import os
import uuid
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from kcpshard.api.errors import FieldError, forbidden, invalid, required, too_long
from kcpshard.api.names import dns_label_faults, dns_subdomain_faults, ip_address_faults, path_segment_faults
from kcpshard.api.objects import Object, drop_empty, timestamp
from kcpshard.api.selectors import label_value_faults, qualified_name_faults
from kcpshard.definitions.contract import MetadataRules

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
_STANDARD_FINALIZERS = frozenset(("kubernetes", ORPHAN, FOREGROUND))
_MAX_ANNOTATION_BYTES = 256 * 1024
_MAX_CACHED_LENGTH = 320  # a longer text is no legal key or value anyway, and not worth keeping

# k8s.io/apimachinery `rand.String`: no vowels, no digits that look like letters.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX = 5
_MAX_GENERATED_BASE = 63 - _SUFFIX

# As Go's ObjectMeta orders them; anything else in metadata is unknown and dropped.
_MEMBERS = (
    "name", "generateName", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp",
    "deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences", "finalizers",
)  # fmt: skip
_JUDGED = ("labels", "annotations", "ownerReferences", "finalizers")


NAME_RULES: dict[str, Callable[[str], list[str]]] = {
    "subdomain": dns_subdomain_faults,
    "label": dns_label_faults,
    "path_segment": path_segment_faults,
    "ip_address": ip_address_faults,
    "any": lambda name: [],
}


def generated_name(base: str) -> str:
    suffix = "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in os.urandom(_SUFFIX))
    return base[:_MAX_GENERATED_BASE] + suffix


def fill_created(meta: Object, namespace: str, now_us: int) -> Object:
    """The metadata of a new object: what the client may set, and what only the server may."""
    given = dict(meta)
    given["namespace"] = namespace
    given["uid"] = str(uuid.uuid4())
    given["creationTimestamp"] = timestamp(now_us)
    for member in ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds"):
        given.pop(member, None)
    if given.get("generation") == 0:
        del given["generation"]
    return _cleaned(given)


def fill_updated(meta: Object, old: Object) -> Object:
    """The metadata of an update: what is not the client's to change comes from the old object."""
    given = dict(meta)
    given["creationTimestamp"] = old.get("creationTimestamp")
    for member in ("uid", "namespace", "deletionTimestamp", "deletionGracePeriodSeconds"):
        if given.get(member) in (None, ""):
            given[member] = old.get(member)
    if "namespace" not in old:
        del given["namespace"]  # of an object without one it is ignored
    given["generation"] = old.get("generation")
    given["resourceVersion"] = old["resourceVersion"]
    return _cleaned(given)


def ordered(given: Object) -> Object:
    """Known members only, in Go's order."""
    return {member: given[member] for member in _MEMBERS if member in given}


def _cleaned(given: Object) -> Object:
    result = ordered(given)
    drop_empty(result)
    for member in ("labels", "annotations"):
        if member in result and None in result[member].values():
            result[member] = {key: value or "" for key, value in result[member].items()}
    return result


def deduplicate_owners(meta: Object) -> list[str]:
    """Keep the first of several references to one owner; the result is the warning about the others."""
    references = meta.get("ownerReferences") or ()
    if len(references) < 2:
        return []
    uids = [reference.get("uid", "") for reference in references]
    twice = sorted({uid for at, uid in enumerate(uids) if uid in uids[:at]})
    if not twice:
        return []
    meta["ownerReferences"] = [r for at, r in enumerate(references) if uids[at] not in uids[:at]]
    return [
        ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may "
        "reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: "
        + ", ".join(twice)
    ]


# --- faults

_NAMED_LATER = MetadataRules(name="path_segment", is_lenient=True)


def created_faults(meta: Object, own: MetadataRules) -> list[FieldError]:
    """Faults of a new object's metadata, as its kind's own rules see them."""
    return [] if own.is_later else _created_faults(meta, own)


def later_faults(meta: Object, own: MetadataRules) -> list[FieldError]:
    """What holds for every kind, and is said once its own rules have found nothing."""
    return _created_faults(meta, _NAMED_LATER) if own.is_later or own.name == "any" else []


def _created_faults(meta: Object, own: MetadataRules) -> list[FieldError]:
    faults: list[FieldError] = []
    generate, name = meta.get("generateName", ""), meta.get("name", "")
    if generate:
        faults += _prefix_faults(generate, own.name)
    if not name:
        faults.append(required("metadata.name", "name or generateName is required"))
    else:
        faults += [invalid("metadata.name", name, fault) for fault in NAME_RULES[own.name](name)]
    if meta.get("generation", 0) < 0:
        faults.append(invalid("metadata.generation", meta["generation"], "must be greater than or equal to 0"))
    return _common_faults(meta, faults, own.is_lenient)


def _prefix_faults(generate: str, name_rule: str) -> list[FieldError]:
    # A trailing dash is fine in a prefix: something follows it.
    shown = generate[:-2] + "a" if generate.endswith("-") and len(generate) > 1 else generate
    return [invalid("metadata.generateName", generate, fault) for fault in NAME_RULES[name_rule](shown)]


def updated_faults(new: Object, old: Object, own: MetadataRules) -> list[FieldError]:
    """Faults of an update's metadata, filled by `fill_updated`; the old one was valid."""
    faults: list[FieldError] = []
    for member in ("name", "namespace", "uid", "deletionTimestamp", "deletionGracePeriodSeconds"):
        value = new.get(member)
        if value != old.get(member):
            faults.append(invalid(f"metadata.{member}", value, "field is immutable"))
    if "deletionTimestamp" in old:
        added = [f for f in new.get("finalizers", ()) if f not in old.get("finalizers", ())]
        if added:
            shown = ", ".join(f'"{f}"' for f in sorted(added))
            text = "no new finalizers can be added if the object is being deleted, found new finalizers "
            faults.append(forbidden("metadata.finalizers", f"{text}[]string{{{shown}}}"))
    generate = new.get("generateName", "")
    if generate and generate != old.get("generateName"):
        faults += _prefix_faults(generate, own.update_name)
    if all(new.get(member) == old.get(member) for member in _JUDGED):
        return faults
    return _common_faults(new, faults, own.is_lenient)


def _common_faults(meta: Object, faults: list[FieldError], is_lenient: bool) -> list[FieldError]:
    if "labels" in meta:
        for key, value in meta["labels"].items():
            faults += _label_faults(key, value)
    if "annotations" in meta:
        faults += _annotation_faults(meta["annotations"])
    if "ownerReferences" in meta:
        faults += _owner_faults(meta["ownerReferences"])
    if "finalizers" in meta:
        faults += _finalizer_faults(meta["finalizers"], is_lenient)
    return faults


def _label_faults(key: str, value: str) -> tuple[FieldError, ...]:
    if len(key) <= _MAX_CACHED_LENGTH and len(value) <= _MAX_CACHED_LENGTH:
        return _known_label_faults(key, value)
    return _found_label_faults(key, value)


def _found_label_faults(key: str, value: str) -> tuple[FieldError, ...]:
    keys = [invalid("metadata.labels", key, fault) for fault in qualified_name_faults(key)]
    return (*keys, *(invalid("metadata.labels", value, fault) for fault in label_value_faults(value)))


_known_label_faults = lru_cache(maxsize=4096)(_found_label_faults)


def _annotation_faults(annotations: dict[str, str]) -> list[FieldError]:
    faults: list[FieldError] = []
    size = 0
    for key, value in annotations.items():
        if len(key) <= _MAX_CACHED_LENGTH:
            faults += _known_annotation_faults(key)
        else:
            faults += _found_annotation_faults(key)
        size += len(key.encode()) + len(value.encode())
    if size > _MAX_ANNOTATION_BYTES:
        faults.append(too_long("metadata.annotations", _MAX_ANNOTATION_BYTES))
    return faults


def _found_annotation_faults(key: str) -> tuple[FieldError, ...]:
    # Upper case is legal in the prefix of an annotation's key, unlike in a label's.
    return tuple(invalid("metadata.annotations", key, fault) for fault in qualified_name_faults(key.lower()))


_known_annotation_faults = lru_cache(maxsize=4096)(_found_annotation_faults)


def _finalizer_faults(finalizers: list[str], is_lenient: bool) -> list[FieldError]:
    """Only types that are not lenient insist on a domain."""
    faults = [
        invalid("metadata.finalizers", finalizer, fault)
        for finalizer in finalizers
        for fault in qualified_name_faults(finalizer)
    ]
    if ORPHAN in finalizers and FOREGROUND in finalizers:
        text = f"finalizer {ORPHAN} and {FOREGROUND} cannot be both set"
        faults.append(invalid("metadata.finalizers", finalizers, text))
    for at, finalizer in enumerate(finalizers):
        if not is_lenient and "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            text = "name is neither a standard finalizer name nor is it fully qualified"
            faults.append(invalid(f"metadata.finalizers[{at}]", finalizer, text))
    return faults


def _owner_faults(references: list[Object]) -> list[FieldError]:
    faults: list[FieldError] = []
    controllers: list[str] = []
    for reference in references:
        faults += _reference_faults(reference)
        if reference.get("controller"):
            controllers.append(f"{reference.get('kind', '')}/{reference.get('name', '')}")
            if len(controllers) == 2:
                text = 'Only one reference can have Controller set to true. Found "true" in references for {} and {}'
                faults.append(invalid("metadata.ownerReferences", references, text.format(*controllers)))
    return faults


def _reference_faults(reference: Object) -> list[FieldError]:
    field = "metadata.ownerReferences"
    api_version: Any = reference.get("apiVersion", "")
    faults = []
    if not api_version or api_version.count("/") > 1 or api_version.endswith("/"):
        faults.append(invalid(f"{field}.apiVersion", api_version, "version must not be empty"))
    empty = (member for member in ("kind", "name", "uid") if not reference.get(member))
    faults += [invalid(f"{field}.{member}", "", "must not be empty") for member in empty]
    if api_version == "v1" and reference.get("kind") == "Event":
        faults.append(invalid(field, reference, "/v1, Kind=Event is disallowed from being an owner"))
    return faults
