"""The birth of a logical cluster: what it holds from its first moment.

A top-level logical cluster is born by the first write that is accepted in it; the write follows in the same group, so
either both survive or neither. One that belongs to a Workspace is born by `verbs.workspace_births`. What it holds and
its path are one batch.
"""

import uuid
from collections.abc import Sequence
from functools import lru_cache

from kcpshard.api.objects import timestamp
from kcpshard.api.requests import Identity
from kcpshard.authorization.layer import CLUSTER_ROLE_BINDINGS, GROUP
from kcpshard.authorization.policy import MASTERS
from kcpshard.storage.contract import LogicalCluster, PendingCommit, Put
from kcpshard.storage.envelope import encode_object
from kcpshard.verbs.namespace_contents import NamespaceContents
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.stencils import Stencil, random_uid

ADMINISTRATOR = "workspace-admin"
NAMESPACES = ("default", "kube-system", "kube-public")
_EMPTY = NamespaceContents()


def bear(
    shard: Shard, path: str, creator: Identity | None = None, more: Sequence[Put] = ()
) -> tuple[LogicalCluster, PendingCommit]:
    """The logical cluster at a path that is free. The caller has checked that the identity may make one; a creator who
    is no administrator of the installation becomes the logical cluster's. `more` is born with it."""
    # Again, in the turn of the commit: the request may have waited since it was found to be ours.
    shard.ownership.check(path)
    puts = _everything(shard)
    if creator is not None and MASTERS not in creator.groups:
        puts.append(administrator(creator.username, shard.now_us()))
    return shard.store.create_cluster(path, [*more, *puts])


def administrator(username: str, now_us: int) -> Put:
    """The binding that kcp gives the owner of a workspace, under its name."""
    uid = str(uuid.uuid4())
    document = {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": ADMINISTRATOR, "uid": uid, "creationTimestamp": timestamp(now_us)},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "User", "apiGroup": GROUP, "name": username}],
    }
    json, hole, annotations = encode_object(document)
    return Put(CLUSTER_ROLE_BINDINGS, "", ADMINISTRATOR, json, hole, annotations, uid, f"{GROUP}/v1", {}, {})


def _everything(shard: Shard) -> list[Put]:
    now_us = shard.now_us()
    found = first_objects(now_us, shard.contents)
    for name in shard.birth.namespaces:
        found += namespace_puts(name, now_us, shard.contents)
    return found + shard.birth.puts(now_us)


def is_complete(shard: Shard, objects: int) -> bool:
    """Whether a birth with that many objects was one by `bear`: those that the shard makes for its own use hold
    only namespaces."""
    contents = shard.contents.size
    namespaces = len(NAMESPACES) + len(shard.birth.namespaces)
    return objects >= namespaces * (1 + contents) + len(shard.birth.births)


def first_objects(now_us: int, contents: NamespaceContents = _EMPTY) -> list[Put]:
    return [put for name in NAMESPACES for put in namespace_puts(name, now_us, contents)]


def namespace_puts(name: str, now_us: int, contents: NamespaceContents) -> list[Put]:
    """A namespace with what is in it."""
    return [_namespace(name).put(random_uid(), timestamp(now_us)), *contents.puts(name, now_us)]


@lru_cache(maxsize=16)
def _namespace(name: str) -> Stencil:
    labels = {"kubernetes.io/metadata.name": name}
    document = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": labels},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }
    return Stencil("namespaces", document, {"status.phase": "Active"})
