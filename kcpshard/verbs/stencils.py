"""Objects of which all is known but uid, creation time and namespace: their JSON is made once, then filled in.

A birth writes ten of them and more; encoding each anew was most of what it cost.
"""

import os
from collections.abc import Mapping
from typing import Any

from kcpshard.api.objects import Object
from kcpshard.storage.contract import Put
from kcpshard.storage.envelope import encode_object
from kcpshard.storage.template import BIRTH_TIME

_UID = "00000000-0000-0000-0000-000000000000"
TIME = BIRTH_TIME  # in a document: when the object is made
NAMESPACE = "namespace.to.be.filled.in"  # in a document: no namespace has dots in its name
_NOTHING: Mapping[str, str] = {}


class Stencil:
    """One object, of built-in type. `obj` has neither uid nor creationTimestamp; TIME and NAMESPACE stand for what is
    given with each `put`, everywhere."""

    def __init__(self, group_resource: str, obj: Object, fields: Mapping[str, str] = _NOTHING) -> None:
        meta: dict[str, Any] = {**obj["metadata"], "uid": _UID, "creationTimestamp": TIME}
        self._json, self._hole, self._annotations = encode_object({**obj, "metadata": meta})
        self._group_resource, self._api_version, self._fields = group_resource, obj["apiVersion"], fields
        self._name, self._labels = meta["name"], meta.get("labels") or _NOTHING
        self._namespace = meta.get("namespace", "")

    def put(self, uid: str, time: str, namespace: str = "") -> Put:
        """`time` is a timestamp; `namespace` matters only to one that has NAMESPACE."""
        json = self._json.replace(_UID.encode(), uid.encode()).replace(TIME.encode(), time.encode())
        if self._namespace == NAMESPACE:
            json = json.replace(NAMESPACE.encode(), namespace.encode())
        else:
            namespace = self._namespace
        return Put(
            self._group_resource, namespace, self._name, json, self._hole, self._annotations, uid, self._api_version,
            self._labels, self._fields,
        )  # fmt: skip


def random_uid() -> str:
    """Of version 4, as str(uuid.uuid4()) at a third of its cost."""
    text = os.urandom(16).hex()
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"
