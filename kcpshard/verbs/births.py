"""The birth of a logical cluster: what it holds from its first moment.

A top-level logical cluster is born by the first write that is accepted in it. Its namespaces and its path are one
batch; the write follows in the same group, so either both survive or neither.
"""

import uuid

from kcpshard.api.objects import timestamp
from kcpshard.storage.contract import LogicalCluster, Put
from kcpshard.storage.envelope import encode_object
from kcpshard.verbs.namespace_contents import NamespaceContents
from kcpshard.verbs.shard import Shard

NAMESPACES = ("default", "kube-system", "kube-public")
# Where there are nodes: their kubelets keep their leases here.
NODE_LEASES = "kube-node-lease"
_EMPTY = NamespaceContents()


def bear(shard: Shard, path: str) -> LogicalCluster:
    """The logical cluster at a path that is free. The caller has checked that the identity may make one."""
    # Again, in the turn of the commit: the request may have waited since it was found to be ours.
    shard.ownership.check(path)
    cluster, _ = shard.store.create_cluster(path, first_objects(shard.now_us(), shard.contents, _namespaces(shard)))
    return cluster


def _namespaces(shard: Shard) -> tuple[str, ...]:
    return NAMESPACES if shard.catalog.api_set == "minimal" else (*NAMESPACES, NODE_LEASES)


def first_objects(
    now_us: int, contents: NamespaceContents = _EMPTY, namespaces: tuple[str, ...] = NAMESPACES
) -> list[Put]:
    return [put for name in namespaces for put in (_namespace(name, now_us), *contents.puts(name, now_us))]


def _namespace(name: str, now_us: int) -> Put:
    uid = str(uuid.uuid4())
    labels = {"kubernetes.io/metadata.name": name}
    document = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "uid": uid, "creationTimestamp": timestamp(now_us), "labels": labels},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }
    json, hole, annotations = encode_object(document)
    fields = {"status.phase": "Active"}
    return Put("namespaces", "", name, json, hole, annotations, uid, "v1", labels, fields)
