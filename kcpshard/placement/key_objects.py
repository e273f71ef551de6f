"""Signing keys as objects: Secrets of type keys.kcp.io/signing-key in system:keys, namespace kube-system.

They are the keys: whoever deletes one revokes whatever it has signed, within seconds, everywhere. Only administrators
of the installation may address system:keys.
"""

import base64
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from kcpshard.api.objects import timestamp
from kcpshard.placement.shard_map import KEYS_CLUSTER
from kcpshard.placement.signing_keys import Key, KeyState
from kcpshard.storage.contract import Group, LogicalCluster, ObjectStore, Put, Remove
from kcpshard.storage.envelope import body, body_at, encode_object, hole
from kcpshard.verbs.births import first_objects

NAMESPACE, SECRETS = "kube-system", "secrets"
TYPE = "keys.kcp.io/signing-key"
_MAX_KEYS = 256
_ID, _STATE, _SINCE, _PURPOSE = (f"keys.kcp.io/{name}" for name in ("id", "state", "since", "purpose"))


class KeyObjects:
    def __init__(self, store: ObjectStore, now_us: Callable[[], int]) -> None:
        self._store, self._now_us = store, now_us

    def read(self) -> list[Key]:
        """Every key there is, the pending state. A Secret of another type, or a broken one, is none."""
        cluster = self._store.pending_cluster(KEYS_CLUSTER)
        if cluster is None:
            return []
        values = self._store.scan_pending(cluster, SECRETS, NAMESPACE, _MAX_KEYS)
        return [key for value in values if (key := _key(orjson.loads(body(value)))) is not None]

    def write(self, keys: Sequence[Key]) -> Group | None:
        """Make the objects those keys: one commit. None if nothing differs."""
        before = {key.id: key for key in self.read()}
        after = {key.id: key for key in keys}
        if before == after:
            return None
        cluster = self._store.pending_cluster(KEYS_CLUSTER)
        if cluster is None:
            cluster, _ = self._store.create_cluster(KEYS_CLUSTER, first_objects(self._now_us()))
        changes: list[Put | Remove] = [self._put(cluster, key) for key in after.values() if before.get(key.id) != key]
        changes += [removal for id_ in before.keys() - after.keys() if (removal := self._remove(cluster, id_))]
        return self._store.commit(cluster, changes).group

    def _put(self, cluster: LogicalCluster, key: Key) -> Put:
        name = object_name(key.purpose, key.id)
        known = self._store.pending(cluster, SECRETS, NAMESPACE, name)
        meta = orjson.loads(body(known))["metadata"] if known else {}
        uid = meta.get("uid") or str(uuid.uuid4())
        created = meta.get("creationTimestamp") or timestamp(self._now_us())
        document = _document(key, name, uid, created)
        json, at, annotations = encode_object(document)
        fields = {"type": TYPE}
        return Put(SECRETS, NAMESPACE, name, json, at, annotations, uid, "v1", {}, fields)

    def _remove(self, cluster: LogicalCluster, id_: str) -> Remove | None:
        for value in self._store.scan_pending(cluster, SECRETS, NAMESPACE, _MAX_KEYS):
            meta = orjson.loads(body(value))["metadata"]
            if meta.get("annotations", {}).get(_ID) == id_:
                return Remove(SECRETS, NAMESPACE, meta["name"], body_at(value, 0), hole(value))
        return None


def object_name(purpose: str, id_: str) -> str:
    """A legal name of an object, from an id that has capital letters."""
    padded = id_ + "=" * (-len(id_) % 4)
    return f"{purpose}-{base64.urlsafe_b64decode(padded)[:10].hex()}"


def _document(key: Key, name: str, uid: str, created: str) -> dict[str, Any]:
    data = {"tls.key": key.private_key, "tls.pub": key.public_key}
    if key.certificate:
        data["tls.crt"] = key.certificate
    notes = {_ID: key.id, _PURPOSE: key.purpose, _SINCE: str(key.since_us), _STATE: key.state.value}
    meta = {"name": name, "namespace": NAMESPACE, "uid": uid, "creationTimestamp": created, "annotations": notes}
    encoded = {member: base64.b64encode(value).decode() for member, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": encoded, "type": TYPE}


def _key(document: dict[str, Any]) -> Key | None:
    if document.get("type") != TYPE:
        return None
    try:
        notes = document["metadata"]["annotations"]
        data = {member: base64.b64decode(value) for member, value in document["data"].items()}
        return Key(
            notes[_ID],
            notes[_PURPOSE],
            data["tls.pub"],
            data["tls.key"],
            data.get("tls.crt", b""),
            KeyState(notes[_STATE]),
            int(notes[_SINCE]),
        )
    except (KeyError, TypeError, ValueError):
        return None
