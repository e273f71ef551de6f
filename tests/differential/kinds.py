# ruff: noqa: E501 - a table: one row per fact is worth long lines
"""What each kind accepts, defaults and refuses: rows for the comparison with a real kube-apiserver.

Creates are dry runs, so rows do not depend on each other; updates follow the object they change.
"""

import base64
from collections.abc import Iterator
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID

from tests.differential.exchanges import MERGE, STRATEGIC, Exchange

CORE = "/api/v1/namespaces/{ns}/"
RBAC = "/apis/rbac.authorization.k8s.io/v1/"
PLACES = {
    "ConfigMap": ("v1", CORE + "configmaps"), "Secret": ("v1", CORE + "secrets"),
    "ServiceAccount": ("v1", CORE + "serviceaccounts"), "ResourceQuota": ("v1", CORE + "resourcequotas"),
    "LimitRange": ("v1", CORE + "limitranges"), "Event": ("v1", CORE + "events"), "Namespace": ("v1", "/api/v1/namespaces"),
    "Lease": ("coordination.k8s.io/v1", "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases"),
    "NewEvent": ("events.k8s.io/v1", "/apis/events.k8s.io/v1/namespaces/{ns}/events"),
    "Role": ("rbac.authorization.k8s.io/v1", RBAC + "namespaces/{ns}/roles"),
    "RoleBinding": ("rbac.authorization.k8s.io/v1", RBAC + "namespaces/{ns}/rolebindings"),
    "ClusterRole": ("rbac.authorization.k8s.io/v1", RBAC + "clusterroles"),
    "ClusterRoleBinding": ("rbac.authorization.k8s.io/v1", RBAC + "clusterrolebindings"),
    "APIService": ("apiregistration.k8s.io/v1", "/apis/apiregistration.k8s.io/v1/apiservices"),
    "CertificateSigningRequest": ("certificates.k8s.io/v1", "/apis/certificates.k8s.io/v1/certificatesigningrequests"),
    "CustomResourceDefinition": ("apiextensions.k8s.io/v1", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"),
}  # fmt: skip
B = "YQ=="
TIME, MICRO = "2020-01-01T00:00:00Z", "2020-01-01T00:00:00.000000Z"


def document(kind: str, name: str = "{ns}-a", /, **members: Any) -> dict[str, Any]:
    found = {"apiVersion": PLACES[kind][0], "kind": kind.removeprefix("New"), "metadata": {"name": name}, **members}
    return {key: value for key, value in found.items() if value != "absent"}


def created(kind: str, *cases: dict[str, Any], name: str = "{ns}-a") -> Iterator[Exchange]:
    for place, case in enumerate(cases):
        yield Exchange(f"{kind} {place}", "POST", PLACES[kind][1] + "?dryRun=All", document(kind, name, **case))


def updated(kind: str, first: dict[str, Any], *changes: dict[str, Any], name: str = "{ns}-u") -> Iterator[Exchange]:
    """Create for real, then try each change: members replaced in the object as created; `@` names the subresource."""
    key = f"{kind.lower()}{len(str(first))}"
    yield Exchange(f"{kind} made", "POST", PLACES[kind][1], document(kind, name, **first), save=key)
    for place, change in enumerate(changes):
        change = dict(change)
        part = change.pop("@", "")
        body = document(kind, name, **{**first, **change})
        body["metadata"] = {**body["metadata"], "name": name, "resourceVersion": f"$rv:{key}"}
        yield Exchange(f"{kind} update {place} {part}", "PUT", f"{PLACES[kind][1]}/{name}{part}?dryRun=All", body)


def _types() -> Iterator[Exchange]:
    """What Go's decoder says of values of the wrong type, and the zero values it drops or writes."""
    yield from created(
        "ConfigMap", {"data": {"a": 1}}, {"data": {"a": {}}}, {"data": []}, {"data": "x"}, {"data": 3}, {"data": True},
        {"data": {"a": None}}, {"data": None, "binaryData": {}, "immutable": None}, {"immutable": "x"},
        {"binaryData": {"a": "!!"}}, {"binaryData": {"a": 1}}, {"immutable": False}, {"bogus": 1, "data": {"a": "b"}},
        *({"metadata": m} for m in (
            [], {"name": 1}, {"name": "a", "labels": {"a": 1}}, {"name": "a", "labels": []},
            {"name": "a", "ownerReferences": {}}, {"name": "a", "ownerReferences": [1]},
            {"name": "a", "ownerReferences": [{"kind": 1}]}, {"name": "a", "finalizers": "x"},
            {"name": "a", "finalizers": [1]}, {"name": "a", "generation": "x"}, {"name": "a", "generation": 1.5},
            {"name": "a", "creationTimestamp": "x"}, {"name": "a", "creationTimestamp": 5},
            {"name": "a", "deletionGracePeriodSeconds": "x"},
        )),
    )  # fmt: skip
    yield from created(
        "Secret", {"type": 1}, {"data": {"a": "%%"}}, {"stringData": {"a": 1}}, {"data": {"a": 1}}, {"immutable": 1},
        {"data": {"a": "YQ"}}, {"data": {"a": "YQ=\n="}}, {"data": {"a": None}}, {"data": {"a": "YR=="}},
        {"data": {"a": "YWFhYQ"}}, {"data": {"a": "Y"}}, {"data": {"a": "YWE=x"}},
    )  # fmt: skip
    yield from created(
        "ServiceAccount", {}, {"secrets": {}}, {"secrets": [{"name": 1}]}, {"automountServiceAccountToken": "x"},
        {"imagePullSecrets": [{"name": None}]}, {"secrets": [{"name": "x"}, {"name": "x"}]}, {"secrets": []},
        {"automountServiceAccountToken": False},
    )  # fmt: skip
    yield from created(
        "Event", {"count": "x"}, {"count": 1.5}, {"count": 99999999999}, {"firstTimestamp": "x"}, {"eventTime": TIME},
        {"source": []}, {"series": {"count": "x"}}, {"involvedObject": {"name": 1}},
        {"firstTimestamp": "2020-01-01T01:00:00.5+01:00", "involvedObject": {"namespace": "{ns}"}},
        {"firstTimestamp": "2020-13-01T00:00:00Z"}, {"firstTimestamp": "2020-02-30T00:00:00Z"}, {"firstTimestamp": ""},
        {"firstTimestamp": "2020-01-01"}, {"firstTimestamp": "2020-01-01T00:00:00Zx"},
    )  # fmt: skip
    yield from created(
        "ResourceQuota", *({"spec": s} for s in (
            {"hard": {"pods": "x"}}, {"hard": {"pods": []}}, {"hard": {"pods": ""}}, {"hard": {"pods": "1mm"}}, {"hard": {"pods": None}},
            {"hard": {"pods": 5, "cpu": "1500m", "memory": "1024Mi", "limits.cpu": "0.5"}}, [], {"scopes": "x"},
            {"hard": {"memory": "1.5Gi", "cpu": "1e3", "limits.memory": "0.5Ki", "requests.memory": "1000000"}},
            {"hard": {"cpu": "0.0000000001", "memory": "999999999999999999999"}}, {"hard": {"cpu": "+1", "memory": ".5"}},
            {"hard": {"cpu": "1E", "memory": "12345n", "limits.cpu": "1025Ki", "limits.memory": "1.5e3"}},
        )),
    )  # fmt: skip


def _configuration() -> Iterator[Exchange]:
    keys = ("a b", "", "..", ".", "..x", "k" * 254)
    yield from created(
        "ConfigMap", *({"data": {key: "x"}} for key in keys), {"binaryData": {"a/b": B}},
        {"binaryData": {"c": B}, "data": {"c": "x"}}, {"data": {"a": "x" * 1048577}},
        {"data": {"a": "x" * 1048570, "b": "y" * 10}}, {"data": {"a": "\u00e9" * 400000, "b": "x" * 300000}},
    )  # fmt: skip
    types = (
        "service-account-token", "dockercfg", "dockerconfigjson", "basic-auth", "ssh-auth", "tls",
    )  # fmt: skip
    k = "kubernetes.io/"
    yield from created(
        "Secret", {}, {"data": {"a b": B}}, {"data": {"": B}}, {"data": {"a": "YWFh" * 349526}}, {"type": ""},
        {"stringData": {"a": "b", "c": ""}, "data": {"a": B, "z": B}}, {"stringData": {"a b": "c"}},
        *({"type": k + name} for name in types), {"type": "bootstrap.kubernetes.io/token"}, {"type": "x y"},
        {"type": k + "dockercfg", "data": {".dockercfg": B}}, {"type": k + "dockerconfigjson", "data": {".dockerconfigjson": B}},
        {"type": k + "dockerconfigjson", "data": {".dockerconfigjson": "e30="}},
        {"type": k + "basic-auth", "data": {"username": ""}}, {"type": k + "basic-auth", "data": {"x": B}},
        {"type": k + "ssh-auth", "data": {"ssh-privatekey": ""}}, {"type": k + "tls", "data": {"tls.crt": ""}},
        {"type": k + "service-account-token", "metadata": {"name": "a", "annotations": {k + "service-account.name": "z"}}},
    )  # fmt: skip
    yield from updated(
        "Secret", {"data": {"a": B}}, {"type": "x"}, {"data": {"a": "Yg=="}}, {"data": "absent"}, {"immutable": True},
        {"stringData": {"a": "b"}},
    )  # fmt: skip
    yield from updated(
        "Secret", {"data": {"a": B}, "immutable": True}, {"data": {"a": "Yg=="}}, {"immutable": "absent"},
        {"immutable": False}, {"type": "y", "data": {}}, {"stringData": {"a": "zz"}}, {}, name="{ns}-fixed",
    )  # fmt: skip
    yield from updated(
        "ConfigMap", {"data": {"a": "b"}, "binaryData": {"z": B}, "immutable": True}, {"data": {"a": "c"}},
        {"binaryData": {}}, {"immutable": "absent"}, {"immutable": False, "data": {}, "binaryData": {}}, {},
    )  # fmt: skip


def _namespaces() -> Iterator[Exchange]:
    yield from created(
        "Namespace", {}, {"spec": {"finalizers": ["x"]}}, {"spec": {"finalizers": ["a/b", "kubernetes"]}},
        {"spec": {"finalizers": ["a/b"]}}, {"spec": {}}, {"status": {"phase": "Terminating"}}, {"metadata": {"name": "A.b"}},
        {"metadata": {"name": "kk", "labels": {"kubernetes.io/metadata.name": "zz", "a": "b"}}},
    )  # fmt: skip
    yield from updated(
        "Namespace", {}, {"spec": {"finalizers": ["a/b"]}}, {"spec": {"finalizers": ["a/b", "c"]}, "@": "/finalize"},
        {"spec": {"finalizers": ["a/b"]}, "@": "/finalize"}, {"status": {"phase": "Terminating"}, "@": "/status"},
        {"status": {"phase": "X"}, "@": "/status"}, {}, {"status": {"phase": "Terminating"}},
        {"status": {"phase": "Active", "conditions": [{"type": "x", "status": "True"}]}, "@": "/status"},
    )  # fmt: skip


def _leases() -> Iterator[Exchange]:
    yield from created("Lease", {}, *({"spec": s} for s in (
        {}, {"leaseDurationSeconds": 0}, {"leaseDurationSeconds": -1, "leaseTransitions": -1}, {"holderIdentity": ""},
        {"strategy": "Foo"}, {"preferredHolder": "x"}, {"acquireTime": TIME}, {"leaseTransitions": 0},
        {"acquireTime": MICRO, "holderIdentity": "h", "leaseDurationSeconds": 5, "renewTime": "2020-01-01T01:00:00.123456+01:00"},
    )))  # fmt: skip
    yield from updated(
        "Lease",
        {"spec": {"leaseTransitions": 3}},
        {"spec": {"leaseTransitions": 1, "leaseDurationSeconds": 0}},
        {"spec": {}},
    )


def _events() -> Iterator[Exchange]:
    mine = {"namespace": "{ns}"}
    yield from created(
        "Event", {}, {"involvedObject": {"namespace": "x"}}, {"involvedObject": {**mine, "kind": "Node"}},
        {"involvedObject": {**mine, "kind": "ConfigMap", "apiVersion": "v1"}, "reason": "r", "message": "m" * 2000, "type": "Weird"},
        {"involvedObject": {"kind": "Namespace", "apiVersion": "v1"}}, {"involvedObject": mine, "series": {"count": 1}},
        {"involvedObject": mine, "eventTime": MICRO}, {"eventTime": MICRO},
        {"involvedObject": mine, "eventTime": MICRO, "reportingComponent": "a", "reportingInstance": "b", "action": "c", "reason": "d", "type": "Normal"},
        {"involvedObject": mine, "count": 0, "source": {"component": "x"}}, {"involvedObject": mine, "count": 3, "related": {}},
    )  # fmt: skip
    full = {
        "eventTime": MICRO, "regarding": {**mine, "kind": "Pod", "apiVersion": "v1"}, "reportingController": "a.b/c",
        "reportingInstance": "i", "action": "act", "reason": "r", "type": "Normal",
    }  # fmt: skip
    x = "x" * 130
    yield from created(
        "NewEvent", {}, {"eventTime": MICRO}, full, {**full, "type": "Weird"},
        {**full, "reportingController": "a b", "reportingInstance": x, "action": x, "reason": x, "note": "n" * 1100},
        {**full, "series": {"count": 1}}, {**full, "series": {"count": 2, "lastObservedTime": MICRO}},
        {**full, "deprecatedCount": 3, "deprecatedSource": {"component": "x"}, "deprecatedFirstTimestamp": TIME},
        {**full, "regarding": {"namespace": "kube-system", "kind": "Pod"}}, {**full, "regarding": {"kind": "Node"}},
    )  # fmt: skip
    yield from updated(
        "Event",
        {"involvedObject": mine, "reason": "r"},
        {"involvedObject": {**mine, "name": "z"}},
        {"reason": "q"},
        {"count": 4},
    )
    yield from updated(
        "NewEvent", full, {"note": "q"}, {"series": {"count": 2, "lastObservedTime": MICRO}}, {"deprecatedCount": 2}, {},
        {"reason": "z", "action": "z", "regarding": {}, "reportingController": "zz", "reportingInstance": "k",
         "type": "Warning", "eventTime": "2021-01-01T00:00:00.000000Z", "related": {"name": "x"}}, name="{ns}-n",
    )  # fmt: skip
    yield Exchange("new event as core", "GET", CORE + "events/{ns}-n")
    yield Exchange("core event as new", "GET", PLACES["NewEvent"][1] + "/{ns}-u")


def _quotas() -> Iterator[Exchange]:
    expressions = (
        [{"scopeName": "x", "operator": "y"}], [{"scopeName": "PriorityClass", "operator": "In"}],
        [{"scopeName": "Terminating", "operator": "In", "values": ["a"]}],
        [{"scopeName": "PriorityClass", "operator": "Exists", "values": ["x"]}],
        [{"scopeName": "PriorityClass", "operator": "In", "values": ["x"]}],
    )  # fmt: skip
    yield from created("ResourceQuota", {}, {"status": {"hard": {"pods": "1"}}}, *({"spec": s} for s in (
        {"hard": {"pods": "-1"}}, {"hard": {"pods": "1.5"}}, {"hard": {"foo": "1"}}, {"hard": {"foo bar/x": "1"}},
        {"hard": {"count/configmaps": "1"}}, {"hard": {"count/configmaps": "1.5"}}, {"hard": {"count/a.b/c": "1"}},
        {"hard": {"requests.nvidia.com/gpu": "1"}}, {"hard": {"cpu": "1m", "memory": "1m"}}, {"hard": {"cpu": "-1.5"}},
        {"scopes": ["x"]}, {"scopes": ["Terminating", "NotTerminating"]}, {"scopes": ["BestEffort", "NotBestEffort"]},
        {"hard": {"configmaps": "1"}, "scopes": ["Terminating"]}, {"hard": {"pods": "1"}, "scopes": ["Terminating", "Terminating"]},
        {"hard": {"services.loadbalancers": "1", "ephemeral-storage": "1", "hugepages-2Mi": "1", "requests.hugepages-2Mi": "1"}},
        *({"scopeSelector": {"matchExpressions": e}} for e in expressions),
    )))  # fmt: skip
    yield from updated(
        "ResourceQuota", {"spec": {"hard": {"pods": "1"}, "scopes": ["Terminating"]}},
        {"spec": {"hard": {"pods": "1"}, "scopes": ["NotTerminating"]}}, {"spec": {"hard": {"pods": "2"}, "scopes": ["Terminating"]}},
        {"status": {"hard": {"pods": "-1"}}, "@": "/status"}, {"status": {"used": {"zz": "1"}}, "@": "/status"},
        {"status": {"hard": {"pods": "3"}, "used": {"pods": "1"}}, "@": "/status"},
    )  # fmt: skip
    c = "Container"
    yield from created("LimitRange", *({"spec": {"limits": limits}} for limits in (
        [], [{}], [{"type": "x"}], [{"type": "foo.bar/baz", "max": {"cpu": "1"}}], [{"type": "Pod", "max": {"cpu": "1"}}, {"type": "Pod"}],
        [{"type": "Pod", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "1"}}], [{"type": c, "max": {"cpu": "1"}, "min": {"cpu": "2"}}],
        [{"type": c, "max": {"cpu": "1"}, "default": {"cpu": "2"}, "defaultRequest": {"cpu": "3"}}],
        [{"type": c, "min": {"cpu": "2"}, "default": {"cpu": "1"}, "defaultRequest": {"cpu": "1"}}],
        [{"type": c, "maxLimitRequestRatio": {"cpu": "0.5"}}], [{"type": "PersistentVolumeClaim"}],
        [{"type": c, "max": {"cpu": "4"}, "min": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "3"}}],
        [{"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}}], [{"type": "Pod", "max": {"storage": "1"}}],
        [{"type": "Pod", "max": {"foo": "1"}}], [{"type": "Pod", "max": {"a b/c": "1"}}], [{"type": c, "default": {"cpu": "1"}}],
        [{"type": c, "min": {"cpu": "1"}}], [{"type": c, "max": {"cpu": "2", "memory": "1Gi"}, "min": {"cpu": "500m"}, "default": {"cpu": "1"}}],
    )), {"spec": {}}, {})  # fmt: skip


def _rbac() -> Iterator[Exchange]:
    rules: list[list[dict[str, Any]]] = [
        [], [{}], [{"verbs": []}], [{"verbs": ["get"]}], [{"verbs": ["get"], "apiGroups": [""]}],
        [{"verbs": ["get"], "apiGroups": [""], "resources": ["x"], "nonResourceURLs": ["/a"]}],
        [{"verbs": ["get"], "nonResourceURLs": ["/a"]}], [{"verbs": ["get"], "apiGroups": [""], "resources": ["x"], "resourceNames": []}],
    ]  # fmt: skip
    yield from created(
        "Role", {}, *({"rules": r} for r in rules), {"metadata": {"name": "a:b/c"}}, {"metadata": {"name": "A:b c"}}
    )
    selectors: list[dict[str, Any]] = [
        {"matchLabels": {"a b": "c"}},
        {"matchExpressions": [{"key": "a", "operator": "x"}]},
    ]
    yield from created(
        "ClusterRole", {}, *({"rules": r} for r in rules), {"aggregationRule": {}}, {"aggregationRule": {"clusterRoleSelectors": []}},
        {"aggregationRule": {"clusterRoleSelectors": selectors}}, {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "c"}}]}},
    )  # fmt: skip
    admin = {"kind": "ClusterRole", "name": "cluster-admin"}
    subjects: list[list[dict[str, Any]]] = [
        [], [{}], [{"kind": "User", "name": "u"}, {"kind": "Group", "name": "g"}], [{"kind": "ServiceAccount", "name": "s"}],
        [{"kind": "ServiceAccount", "name": "S_", "namespace": "default"}, {"kind": "User"}, {"kind": "Group", "apiGroup": "x", "name": "a"},
         {"kind": "ServiceAccount", "apiGroup": "x", "name": "a", "namespace": "d"}], [{"kind": "X", "name": "a"}],
    ]  # fmt: skip
    references: list[dict[str, Any]] = [
        {}, {"kind": "X", "name": "y"}, {"apiGroup": "x", "kind": "ClusterRole", "name": "view"}, {"kind": "ClusterRole", "name": "a/b"}, admin,
    ]  # fmt: skip
    for kind in ("RoleBinding", "ClusterRoleBinding"):
        yield from created(
            kind, {}, *({"roleRef": r} for r in references), *({"roleRef": admin, "subjects": s} for s in subjects)
        )
        given = {**admin, "apiGroup": "rbac.authorization.k8s.io"}
        yield from updated(
            kind,
            {"roleRef": given, "subjects": [{"kind": "User", "name": "x"}]},
            {"roleRef": {**given, "name": "edit"}},
            {"subjects": []},
        )


def _apiservices() -> Iterator[Exchange]:
    good = {"group": "x.y", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10}
    service = {"name": "s", "namespace": "n"}
    yield from created("APIService", {}, *({"spec": s} for s in (
        {}, {"group": "x.y", "version": "v1"}, good, {**good, "groupPriorityMinimum": 30000, "versionPriority": 2000},
        {**good, "service": {}}, {**good, "service": service}, {**good, "insecureSkipTLSVerify": True}, {**good, "caBundle": B},
        {**good, "service": service, "insecureSkipTLSVerify": True, "caBundle": B}, {**good, "service": {**service, "port": 70000}},
        {**good, "service": {"name": "S_", "namespace": "N_"}}, {**good, "service": service, "insecureSkipTLSVerify": False},
    )), name="v1.x.y")  # fmt: skip
    yield from created("APIService", {"spec": good}, name="foo")
    yield from created("APIService", {"spec": {**good, "group": "x_y", "version": "V1"}}, name="V1.x_y")
    remote = {**good, "group": "{ns}.z"}
    yield from updated(
        "APIService", {"spec": remote}, {"spec": {**remote, "group": "z"}}, {"spec": {**remote, "versionPriority": 11}},
        {"status": {"conditions": [{"type": "X", "status": "True", "lastTransitionTime": TIME}]}, "@": "/status"},
        {"status": {"conditions": [{}]}, "@": "/status"}, name="v1.{ns}.z",
    )  # fmt: skip


@cache
def _certificate_request() -> str:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bob")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, None)
    assert not isinstance(request.signature_hash_algorithm, hashes.SHA256)
    return base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()


def _certificates() -> Iterator[Exchange]:
    good = {"request": _certificate_request(), "signerName": "a.b/c", "usages": ["client auth"]}
    yield from created("CertificateSigningRequest", *({"spec": s} for s in (
        {}, {**good, "request": B}, {"request": good["request"]}, {**good, "signerName": "x"}, {**good, "usages": []}, good,
        {**good, "usages": ["foo"]}, {**good, "usages": ["client auth", "client auth"]}, {**good, "signerName": "kubernetes.io/legacy-unknown"},
        {**good, "expirationSeconds": 10}, {**good, "signerName": "A/c/d"}, {**good, "signerName": "ab/c"}, {**good, "signerName": "a.b/c_"},
    )))  # fmt: skip

    def conditions(*pairs: tuple[str, str]) -> dict[str, Any]:
        listed = [{"type": t, "status": s, "reason": "r", "message": "m"} for t, s in pairs]
        return {"status": {"conditions": listed}}

    approved, denied, failed = ("Approved", "True"), ("Denied", "True"), ("Failed", "True")
    yield from updated(
        "CertificateSigningRequest", {"spec": good}, {"spec": {**good, "signerName": "x.y/z"}}, {**conditions(approved), "@": "/approval"},
        {**conditions(approved, denied), "@": "/approval"}, {**conditions(("Approved", "False")), "@": "/approval"},
        {**conditions(("", "True")), "@": "/approval"}, {**conditions(("Foo", "True"), ("Foo", "True")), "@": "/approval"},
        {"status": {**conditions(approved)["status"], "certificate": B}, "@": "/status"}, {**conditions(failed), "@": "/status"},
        conditions(failed), {"status": {"certificate": B}, "@": "/approval"}, {"status": {"certificate": B}, "@": "/status"},
    )  # fmt: skip
    place = PLACES["CertificateSigningRequest"][1] + "/{ns}-u"
    body = document("CertificateSigningRequest", "{ns}-u", spec=good)
    yield Exchange("approve", "PUT", place + "/approval", {**body, **conditions(approved)})
    yield Exchange("unapprove", "PUT", place + "/approval?dryRun=All", {**body, "status": {}})
    yield Exchange("unapprove by status", "PUT", place + "/status?dryRun=All", {**body, "status": {}})
    yield Exchange("deny as well", "PUT", place + "/approval?dryRun=All", {**body, **conditions(approved, denied)})


def _definitions() -> Iterator[Exchange]:
    schema: dict[str, Any] = {"openAPIV3Schema": {"type": "object"}}
    version: dict[str, Any] = {"name": "v1", "served": True, "storage": True, "schema": schema}
    names = {"plural": "foos", "kind": "Foo"}
    good = {"group": "x.io", "names": names, "scope": "Namespaced", "versions": [version]}

    def with_(**members: Any) -> dict[str, Any]:
        return {"spec": {**good, **members}}

    def of(**members: Any) -> dict[str, Any]:
        return with_(versions=[{k: v for k, v in {**version, **members}.items() if v != "absent"}])

    def hook(**members: Any) -> dict[str, Any]:
        return with_(conversion={"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"], **members}})

    service = {"name": "a", "namespace": "b"}
    column = {"name": "a", "type": "integer", "format": "int32", "jsonPath": ".spec.a"}
    replicas = {"specReplicasPath": ".spec.a", "statusReplicasPath": ".status.a"}
    yield from created(
        "CustomResourceDefinition", with_(), {}, with_(group="x"), with_(group=""), with_(scope=""), with_(scope="x"),
        with_(names={**names, "singular": "Foo", "listKind": "foo list", "shortNames": ["A"], "categories": ["All"]}),
        with_(names={"plural": "foos", "kind": ""}), with_(names={**names, "listKind": "Foo"}), with_(names={**names, "kind": "1Foo"}),
        with_(versions=[]), of(storage=False), with_(versions=[version, version]), with_(versions=[version, {**version, "name": "v2"}]),
        with_(versions=[{**version, "name": "v1beta1", "storage": False}, version]), of(name="V_1"), of(name=""), of(schema="absent"),
        of(schema={}), of(served=False), of(deprecationWarning="x"), of(deprecated=True, deprecationWarning=""), of(deprecated=True, deprecationWarning="x" * 300),
        of(additionalPrinterColumns=[{}]), of(additionalPrinterColumns=[column, {**column, "type": "x", "format": "y", "jsonPath": "a"}]),
        of(additionalPrinterColumns=[{**column, "priority": 0, "description": ""}]), of(subresources={"scale": {}}), of(subresources={"status": {}}),
        of(subresources={"scale": {**replicas, "labelSelectorPath": "y"}}), of(subresources={"scale": {**replicas, "labelSelectorPath": ".foo.x"}}),
        of(subresources={"scale": {"specReplicasPath": "x", "statusReplicasPath": ".spec.x"}}), of(subresources={"scale": replicas}),
        of(selectableFields=[{"jsonPath": "x"}]), with_(conversion={"strategy": "x"}), with_(conversion={"strategy": "Webhook"}),
        with_(conversion={"strategy": "None", "webhook": {"conversionReviewVersions": ["v1"]}}), hook(),
        hook(conversionReviewVersions=[], clientConfig={"url": "http://x"}), hook(clientConfig={"url": "https://x", "service": service}),
        hook(conversionReviewVersions=["v5"], clientConfig={"url": "https://x"}), hook(clientConfig={"service": service}),
        hook(clientConfig={"service": {**service, "path": "x", "port": 0}}), with_(preserveUnknownFields=True),
        of(schema={"openAPIV3Schema": {}}), of(schema={"openAPIV3Schema": {"type": "string"}}),
        {**with_(), "status": {"storedVersions": ["v9"], "conditions": [], "acceptedNames": {"kind": "x", "plural": "y"}}},
        with_(names={**names, "categories": ["x"], "shortNames": ["f"], "singular": "foo", "listKind": "FooList"}),
        of(schema={"openAPIV3Schema": {"type": "object", "nullable": False, "properties": {"a": {"type": "array", "items": {"type": "string", "bogus": 1}}}}}),
        name="foos.x.io",
    )  # fmt: skip
    yield from created("CustomResourceDefinition", with_(), name="a.x.io")
    yield from created("CustomResourceDefinition", with_(group="X_"), name="foos.X_")
    yield from created("CustomResourceDefinition", with_(names={"plural": "Foos", "kind": "Foo"}), name="Foos.x.io")
    yield from created("CustomResourceDefinition", with_(group="a.k8s.io"), name="foos.a.k8s.io")


def _patches() -> Iterator[Exchange]:
    """Patches whose result goes through the same checks."""
    where = CORE + "configmaps/{ns}-p?dryRun=All"
    yield Exchange("patched made", "POST", CORE + "configmaps", document("ConfigMap", "{ns}-p", data={"a": "b"}))
    for kind in (MERGE, STRATEGIC):
        for place, body in enumerate(
            (
                {"data": {"a": None}},
                {"data": None},
                {"data": {"x y": "z"}},
                {"data": {"c": ""}},
                {"binaryData": {"a": B}},
            )
        ):
            yield Exchange(f"patch {kind[12:17]} {place}", "PATCH", where, body, kind)


def kinds() -> list[Exchange]:
    """All rows, each with an id of its own."""
    parts = (
        _types, _configuration, _namespaces, _leases, _events, _quotas, _rbac, _apiservices, _certificates, _definitions, _patches,
    )  # fmt: skip
    return [row._replace(id=f"{part.__name__[1:]} {n}: {row.id}") for part in parts for n, row in enumerate(part())]
