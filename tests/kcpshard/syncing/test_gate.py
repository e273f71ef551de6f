"""A table of what an agent may ask, and a longer one of what it may not."""

from typing import Any

import orjson
import pytest

from kcpshard.api.errors import Forbidden, RequestEntityTooLarge
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.syncing.gate import Stored, check

AGENT = pb.SyncAgent(cluster="root:admin", name="east", uid="u1")
LABELS = {
    ("", "pods", "shop", "ours"): {"kcp.dev/syncer": "u1", "kcp.dev/cluster": "east"},
    ("", "pods", "shop", "theirs"): {},
    ("apiresource.kcp.dev", "apiresourceimports", "", "ours"): {"kcp.dev/location": "east"},
    ("apiresource.kcp.dev", "apiresourceimports", "", "theirs"): {"kcp.dev/location": "west"},
}
STORED = Stored(lambda *place: place == ("apps", "deployments", "shop", "web"), lambda ns: ns == "shop",
                lambda *place: LABELS.get(place))  # fmt: skip
POD = {"metadata": {"name": "ours", "labels": {"kcp.dev/syncer": "u1", "kcp.dev/cluster": "east"}}}
IMPORT = {"metadata": {"name": "ours", "labels": {"kcp.dev/location": "east"}}, "spec": {"location": "east"}}


def asked(verb: Any, what: str, name: str = "", namespace: str = "shop", body: Any = None, **more: Any) -> pb.Request:
    plural, _, sub = what.partition("/")
    resource, _, group = plural.partition(".")
    cluster = more.pop("cluster", "root:tenant")
    return pb.Request(
        verb=verb, cluster=cluster, group=group, version="v1", resource=resource, subresource=sub, namespace=namespace,
        name=name, body=orjson.dumps(body or {}), **more,
    )  # fmt: skip


ADMIN: dict[str, Any] = {"cluster": "root:admin"}


@pytest.mark.parametrize(
    "request_",
    [
        asked(pb.UPDATE, "deployments.apps/status", "web"),
        asked(pb.PATCH, "deployments.apps/status", "web"),
        asked(pb.CREATE, "events", body={"metadata": {"name": "e"}}),
        asked(pb.PATCH, "pods", "ours", body=POD, patch_type=pb.APPLY),
        asked(pb.PATCH, "pods/status", "ours", body=POD, patch_type=pb.APPLY),
        asked(pb.DELETE, "pods", "ours"),
        asked(pb.PATCH, "leases.coordination.k8s.io", "east", "kcp-system", **ADMIN),
        asked(pb.CREATE, "leases.coordination.k8s.io", "", "kcp-system", {"metadata": {"name": "east"}}, **ADMIN),
        asked(pb.PATCH, "clusters.cluster.example.dev/status", "east", "", **ADMIN),
        asked(pb.CREATE, "apiresourceimports.apiresource.kcp.dev", "", "", IMPORT, **ADMIN),
        asked(pb.UPDATE, "apiresourceimports.apiresource.kcp.dev", "ours", "", IMPORT, **ADMIN),
        asked(pb.DELETE, "apiresourceimports.apiresource.kcp.dev", "ours", "", **ADMIN),
        asked(pb.CREATE, "namespaces", "", "", {"metadata": {"name": "kcp-system"}}, **ADMIN),
        asked(pb.GET, "namespaces", "shop", "", **ADMIN),
    ],
    ids=lambda r: f"{r.verb} {r.resource}/{r.subresource}",
)
def test_allowed(request_: pb.Request) -> None:
    check(request_, AGENT, STORED)


FOREIGN = {**IMPORT, "spec": {"location": "west"}}


@pytest.mark.parametrize(
    "request_",
    [
        asked(pb.GET, "secrets", "s"),
        asked(pb.GET, "namespaces", "shop", ""),
        asked(pb.LIST, "namespaces", "", "", **ADMIN),
        asked(pb.LIST, "deployments.apps"),
        asked(pb.UPDATE, "deployments.apps", "web"),
        asked(pb.DELETE, "deployments.apps", "web"),
        asked(pb.UPDATE, "deployments.apps/status", "other"),
        asked(pb.UPDATE, "deployments.apps/scale", "web"),
        asked(pb.UPDATE, "deployments.apps/status", "web", view=b"[]"),
        asked(pb.CREATE, "events", namespace="elsewhere"),
        asked(pb.DELETE, "events", "e"),
        asked(pb.DELETE, "pods", "theirs"),
        asked(pb.DELETE_COLLECTION, "pods"),
        asked(pb.PATCH, "pods", "theirs", body=POD, patch_type=pb.APPLY),
        asked(pb.PATCH, "pods", "ours", body={"metadata": {"labels": {}}}, patch_type=pb.APPLY),
        asked(pb.PATCH, "pods", "ours", body=POD, patch_type=pb.MERGE_PATCH),
        asked(pb.CREATE, "pods", body=POD, namespace="elsewhere"),
        asked(pb.CREATE, "pods/exec", "ours"),
        asked(pb.PATCH, "leases.coordination.k8s.io", "west", "kcp-system", **ADMIN),
        asked(pb.PATCH, "leases.coordination.k8s.io", "east", "kcp-system"),
        asked(pb.DELETE, "leases.coordination.k8s.io", "east", "kcp-system", **ADMIN),
        asked(pb.PATCH, "clusters.cluster.example.dev", "east", "", **ADMIN),
        asked(pb.PATCH, "clusters.cluster.example.dev/status", "west", "", **ADMIN),
        asked(pb.CREATE, "apiresourceimports.apiresource.kcp.dev", "", "", FOREIGN, **ADMIN),
        asked(pb.UPDATE, "apiresourceimports.apiresource.kcp.dev", "theirs", "", IMPORT, **ADMIN),
        asked(pb.DELETE, "apiresourceimports.apiresource.kcp.dev", "theirs", "", **ADMIN),
        asked(pb.UPDATE, "apiresourceimports.apiresource.kcp.dev/status", "ours", "", IMPORT, **ADMIN),
        asked(pb.CREATE, "namespaces", "", "", {"metadata": {"name": "mine"}}, **ADMIN),
        asked(pb.CREATE, "clusterrolebindings.rbac.authorization.k8s.io", "", "", **ADMIN),
        asked(pb.CREATE, "serviceaccounts/token", "default"),
    ],
    ids=lambda r: f"{r.verb} {r.resource}/{r.subresource} {r.name}",
)
def test_refused(request_: pb.Request) -> None:
    with pytest.raises(Forbidden, match="the agent of east may not"):
        check(request_, AGENT, STORED)


def test_too_large() -> None:
    request = asked(pb.UPDATE, "deployments.apps/status", "web")
    request.body = b" " * (1024 * 1024 + 1)
    with pytest.raises(RequestEntityTooLarge):
        check(request, AGENT, STORED)
