"""ConversionReview, both versions: the question to a conversion webhook and the judgement of its answer. Pure.

Checks and sentences are kube-apiserver's. Of an object's metadata a webhook may change labels and annotations only;
everything else is put back.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from kcpshard.api.errors import FieldError
from kcpshard.api.objects import Object
from kcpshard.definitions import checks

_GROUP = "apiextensions.k8s.io"
_VERSIONS = ("v1", "v1beta1")
_MAPS: Mapping[str, Any] = {"labels": checks.labels, "annotations": checks.annotations}


class ConversionFault(Exception):
    """The text follows `conversion webhook for …`."""


def question(versions: Sequence[str], objects: Sequence[Object], api_version: str, uid: str) -> tuple[str, bytes]:
    """The version of the review, and its JSON. `versions` are the definition's conversionReviewVersions."""
    version = next((v for v in versions if v in _VERSIONS), "")
    if not version:
        raise ConversionFault("failed: no supported conversion review versions")
    request = {"uid": uid, "desiredAPIVersion": api_version, "objects": objects}
    review = {
        "kind": "ConversionReview",
        "apiVersion": f"{_GROUP}/{version}",
        "request": request,
        # A Go client sends its empty response along, and servers written against that may look at it.
        "response": {"uid": "", "convertedObjects": None, "result": {"metadata": {}}},
    }
    return version, orjson.dumps(review)


def judged(version: str, body: bytes, objects: Sequence[Object], api_version: str, uid: str) -> list[Object]:
    """The converted objects, metadata put right, in the order asked. Raises ConversionFault."""
    found = _converted(version, body, uid)
    if len(found) != len(objects):
        raise ConversionFault(f"returned {len(found)} objects, expected {len(objects)}")
    return [_checked(old, new, api_version) for old, new in zip(objects, found, strict=True)]


def _converted(version: str, body: bytes, uid: str) -> Sequence[Any]:
    try:
        review = orjson.loads(body)
    except orjson.JSONDecodeError:
        review = ""  # to a reader of YAML, what is not JSON is a text
    if not isinstance(review, dict):
        raise ConversionFault(f"failed: couldn't get version/kind; {_no_object(review)}")
    expected = f"{_GROUP}/{version}"
    api_version, kind = review.get("apiVersion") or "", review.get("kind") or ""
    if (api_version, kind) != (expected, "ConversionReview"):
        if not kind:
            raise ConversionFault("failed: Object 'Kind' is missing in '" + body[:2048].decode(errors="replace") + "'")
        if kind != "ConversionReview" or api_version not in (f"{_GROUP}/{known}" for known in _VERSIONS):
            text = f'no kind "{kind}" is registered for version "{api_version}" in scheme "pkg/runtime/scheme.go:111"'
            raise ConversionFault(f"failed: {text}")
        raise ConversionFault(
            f"failed: expected webhook response of {expected}, Kind=ConversionReview, got {api_version}, Kind={kind}"
        )
    response = review.get("response")
    if not isinstance(response, dict):
        raise ConversionFault("failed: no response provided")
    if version == "v1" and response.get("uid", "") != uid:
        raise ConversionFault(f'failed: expected response.uid="{uid}", got "{response.get("uid", "")}"')
    result = response.get("result")
    status = (result.get("status") or "") if isinstance(result, dict) else ""
    if status != "Success":
        message = result.get("message") if isinstance(result, dict) else ""
        text = message or f"response.result.status was '{status}', not 'Success'"
        raise ConversionFault(f"failed: {text}")
    converted = response.get("convertedObjects")
    return converted if isinstance(converted, list) else ()


def _no_object(found: Any) -> str:
    kind = {str: "string", list: "array", bool: "bool", type(None): "null"}.get(type(found), "number")
    members = 'APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\""'
    return f"json parse error: json: cannot unmarshal {kind} into Go value of type struct {{ {members} }}"


def _checked(old: Object, new: Any, api_version: str) -> Object:
    if not isinstance(new, dict):
        raise ConversionFault("returned invalid converted object at index 0: the object is not one")
    got, kind = new.get("apiVersion") or "", new.get("kind") or ""
    if got != api_version:
        text = f"invalid groupVersion (expected {api_version}, received {got})"
        raise ConversionFault(f"returned invalid object at index 0: {text}")
    if kind != old["kind"]:
        text = f"invalid kind (expected {old['kind']}, received {kind})"
        raise ConversionFault(f"returned invalid object at index 0: {text}")
    meta = new.get("metadata")
    was = old["metadata"]
    given = meta if isinstance(meta, dict) else {}
    for member, shown in (("name", "name"), ("namespace", "namespace"), ("uid", "UID")):
        a, b = was.get(member) or "", given.get(member) or ""
        if a != b:
            raise ConversionFault(f"returned invalid object: must have the same {shown}: {a} != {b}")
    if "metadata" not in new:
        raise ConversionFault("returned invalid metadata: missing metadata in converted object")
    if not isinstance(meta, dict):
        raise ConversionFault(
            f"returned invalid metadata: invalid metadata of type {_go_type(meta)} in converted object"
        )
    return {**new, "metadata": _restored(was, meta)}


def _restored(was: Object, given: Object) -> Object:
    meta = dict(was)
    for member, check in _MAPS.items():
        found = given.get(member)
        if found is None:
            meta.pop(member, None)
            continue
        if not isinstance(found, dict):
            text = f"invalid metadata.{member} of type {_go_type(found)} in converted object"
            raise ConversionFault(f"returned invalid metadata: {text}")
        for key, value in found.items():
            if not isinstance(value, str):
                text = f"metadata.{member}[{key}] must be a string, but is {_go_type(value)} in converted object"
                raise ConversionFault(f"returned invalid metadata: {text}")
        if found != was.get(member):
            path = "metadata.labels" if member == "labels" else "metadata.annotation"
            faults: list[FieldError] = list(check(path, found))
            if faults:
                shown = str(faults[0]) if len(faults) == 1 else "[" + ", ".join(map(str, faults)) + "]"
                raise ConversionFault(f"returned invalid metadata: {shown}")
        meta[member] = found
    return meta


def _go_type(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case int():
            return "int64"
        case float():
            return "float64"
        case str():
            return "string"
        case list():
            return "[]interface {}"
        case dict():
            return "map[string]interface {}"
    return "<nil>"
