from typing import Any

import pytest

from kcpshard.flowcontrol.classification import Digest, schema_of

ALL: dict[str, Any] = {
    "verbs": ["*"],
    "apiGroups": ["*"],
    "resources": ["*"],
    "clusterScope": True,
    "namespaces": ["*"],
}
ALICE = {"kind": "User", "user": {"name": "alice"}}
GET = Digest("alice", ("dev", "system:authenticated"), "get", "apps", "deployments/scale", "shop")


def account(name: str) -> Any:
    return {"kind": "ServiceAccount", "serviceAccount": {"namespace": "a", "name": name}}


def schema(subject: Any = ALICE, **more: Any) -> Any:
    rule = {"subjects": [subject], "resourceRules": [{**ALL, **more.pop("resource", {})}], **more}
    return schema_of({"metadata": {"name": "s", "uid": "u"}, "spec": {"rules": [rule]}})


@pytest.mark.parametrize(
    ("subject", "username", "expected"),
    [
        (ALICE, "alice", True),
        (ALICE, "bob", False),
        ({"kind": "User", "user": {"name": "*"}}, "bob", True),
        ({"kind": "Group", "group": {"name": "dev"}}, "bob", True),
        ({"kind": "Group", "group": {"name": "ops"}}, "bob", False),
        ({"kind": "Group", "group": {"name": "*"}}, "bob", True),
        (account("b"), "system:serviceaccount:a:b", True),
        (account("*"), "system:serviceaccount:a:c", True),
        (account("*"), "system:serviceaccount:ab:c", False),
        (account("b"), "system:serviceaccount:a:bc", False),
    ],
)  # fmt: skip
def test_subjects(subject: Any, username: str, expected: bool) -> None:
    assert schema(subject).matches(GET._replace(username=username)) is expected


@pytest.mark.parametrize(
    ("rule", "digest", "expected"),
    [
        ({}, GET, True),
        ({"verbs": ["list"]}, GET, False),
        ({"apiGroups": [""]}, GET, False),
        ({"resources": ["deployments"]}, GET, False),
        ({"resources": ["deployments/scale"]}, GET, True),
        ({"namespaces": ["other"]}, GET, False),
        ({"namespaces": ["shop"]}, GET, True),
        ({"namespaces": ["shop"], "clusterScope": False}, GET._replace(namespace=""), False),
        ({"namespaces": []}, GET._replace(namespace=""), True),
        ({}, GET._replace(path="/healthz"), False),
    ],
)
def test_resource_rules(rule: Any, digest: Digest, expected: bool) -> None:
    assert schema(resource=rule).matches(digest) is expected


@pytest.mark.parametrize(
    ("url", "path", "expected"),
    [
        ("*", "/anything", True),
        ("/healthz", "/healthz", True),
        ("/healthz", "/healthzz", False),
        ("/healthz", "/healthz/etcd", True),
        ("/apis/*", "/apis/apps", True),
        ("/apis/*", "/api", False),
    ],
)
def test_paths(url: str, path: str, expected: bool) -> None:
    found = schema(nonResourceRules=[{"verbs": ["get"], "nonResourceURLs": [url]}])
    assert found.matches(GET._replace(path=path)) is expected
    assert not found.matches(GET._replace(path=path, verb="post"))


@pytest.mark.parametrize(("method", "flow"), [("", ""), ("ByUser", "alice"), ("ByNamespace", "shop")])
def test_flows_are_told_apart_as_the_schema_says(method: str, flow: str) -> None:
    assert schema()._replace(distinguisher=method).flow_of(GET) == flow
