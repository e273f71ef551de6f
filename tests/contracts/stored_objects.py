"""Writes for store tests, and a sync that waits until the test lets it happen."""

from collections.abc import Callable, Mapping

from kcpshard.storage import envelope
from kcpshard.storage.contract import Put, Remove

# Retention classes by group resource, as the catalogue would give them.
CLASSES = {"configmaps": 0, "events": 1, "leases.coordination.k8s.io": 2}


def put(
    name: str,
    namespace: str = "default",
    group_resource: str = "configmaps",
    data: str = "",
    labels: Mapping[str, str] | None = None,
    fields: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Put:
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "labels": dict(labels or {})}
    if annotations:
        metadata["annotations"] = dict(annotations)
    document = {"apiVersion": "v1", "kind": "Thing", "metadata": metadata, "data": {"value": data}}
    json, hole, annotations_at = envelope.encode_object(document)
    return Put(
        group_resource, namespace, name, json, hole, annotations_at, f"uid-{name}", "v1", labels or {}, fields or {},
        0, CLASSES.get(group_resource, 0),
    )  # fmt: skip


def remove(name: str, namespace: str = "default", group_resource: str = "configmaps") -> Remove:
    last = put(name, namespace, group_resource, "last state")
    return Remove(group_resource, namespace, name, last.json, last.hole, CLASSES[group_resource])


class HeldSync:
    """In place of the sync thread: the sync happens when the test calls `release`."""

    def __init__(self, sync: Callable[[], None]) -> None:
        self._sync = sync
        self._done: Callable[[], None] | None = None

    @property
    def is_waiting(self) -> bool:
        return self._done is not None

    def start(self, done: Callable[[], None]) -> None:
        assert self._done is None, "one sync at a time"
        self._done = done

    def release(self) -> None:
        done, self._done = self._done, None
        assert done is not None
        self._sync()
        done()

    def close(self) -> None:
        pass
