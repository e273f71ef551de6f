"""Nodes beside a fresh kube-apiserver (`--authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction`, no
controllers): generated pods, volumes and claims on nodes, then questions, reads and writes of generated nodes; what was
decided must be the same, in the same words. Afterwards pods and volumes change, and everything is asked again.

    python -m tests.differential.node_access KUBECONFIG [--seed N] [--record]

Half of the nodes' requests come from nodes that are administrators too, so that admission alone refuses them.
"""

import argparse
import asyncio
import base64
import gzip
import json
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kcpshard.credentials.keys import TOKENS, KeyRing, make_key
from kcpshard.credentials.service_account_tokens import TokenIssuer
from kcpshard.rpc import shard_pb2 as pb
from tests.contracts.api_client import MERGE, STRATEGIC, ApiClient, memory_shard
from tests.differential.compare import RealServer
from tests.differential.exchanges import JSON, Exchange

RECORD = Path(__file__).parents[1] / "golden" / "nodes.json.gz"
CORE, RBAC, STORAGE = "/api/v1", "/apis/rbac.authorization.k8s.io/v1", "/apis/storage.k8s.io/v1"
DEVICES, LEASES = "/apis/resource.k8s.io/v1", "/apis/coordination.k8s.io/v1/namespaces"
REVIEWS = "/apis/authorization.k8s.io/v1"
NAMESPACES = ("nx-a", "nx-b")
NODES = ("nx-one", "nx-two", "nx-three")  # the third is registered, but nothing runs there
STRANGERS = ("nx-none", "")  # no node of these names is registered
NAMES = tuple("abcdef")
ACCOUNTS = ("default", "builder")
AUDIENCES = ("", "nx-vault", "nx-driver", "nx-allowed", "nx-other")
Document = dict[str, Any]


class Size(NamedTuple):
    pods: int
    questions: int
    reads: int
    writes: int


WHOLE, SMALL = Size(40, 2500, 500, 900), Size(16, 160, 60, 160)


class Ask(NamedTuple):
    """`{uid:pods/nx-a/p1}` in a body stands for the uid that the object has on that side."""

    exchange: Exchange
    impersonation: Document | None = None


def _post(url: str, body: Document) -> Exchange:
    return Exchange("", "POST", url, body, JSON)


def _named(url: str, name: str, **rest: Any) -> Exchange:
    return _post(url, {"metadata": {"name": name}, **rest})


class World:
    """Everything that is made and asked, by one seed."""

    def __init__(self, seed: int, size: Size) -> None:
        self.rng, self.size = random.Random(seed), size
        self.pods: dict[str, Document] = {}  # by namespace/name
        self.objects = list(self._objects())
        self.changes = list(self._changes())
        self.asks = [*self._questions(), *self._reads(), *self._writes()]

    def _chance(self, share: float) -> bool:
        return self.rng.random() < share

    # --- what there is

    def _objects(self) -> Iterator[Exchange]:
        rng = self.rng
        for namespace in NAMESPACES:
            yield _named(f"{CORE}/namespaces", namespace)
            for account in ACCOUNTS:
                yield _named(f"{CORE}/namespaces/{namespace}/serviceaccounts", account)
            for name in NAMES:
                for kind in ("secrets", "configmaps"):
                    yield _named(f"{CORE}/namespaces/{namespace}/{kind}", name)
                spec: Document = {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": "1Gi"}},
                    "storageClassName": "",
                    "volumeName": f"nx-{namespace}-{name}",
                }
                yield _named(f"{CORE}/namespaces/{namespace}/persistentvolumeclaims", name, spec=spec)
                yield _named(f"{DEVICES}/namespaces/{namespace}/resourceclaims", name, spec={})
        for node in NODES:
            labels = {"nx": "x", "kubernetes.io/hostname": node, "node-restriction.kubernetes.io/team": "a"}
            yield _post(f"{CORE}/nodes", {"metadata": {"name": node, "labels": labels}})
            yield _named(f"{LEASES}/kube-node-lease/leases", node, spec={"holderIdentity": node})
            yield _named(f"{STORAGE}/csinodes", node, spec={"drivers": []})
            yield _named(f"{STORAGE}/volumeattachments", f"nx-{node}", spec=_attachment(node))
            yield _named(f"{DEVICES}/resourceslices", f"nx-{node}", spec=_slice({"nodeName": node}))
        yield _named(f"{DEVICES}/resourceslices", "nx-all", spec=_slice({"allNodes": True}))
        driver = {"tokenRequests": [{"audience": "nx-driver"}]}
        yield _named(f"{STORAGE}/csidrivers", "nx.csi.example.com", spec=driver)
        yield _named(f"{STORAGE}/csidrivers", "disk.csi.azure.com", spec={"tokenRequests": [{"audience": "nx-vault"}]})
        for namespace in NAMESPACES:
            for name in NAMES:
                yield self._volume(namespace, name)
        for number in range(self.size.pods):
            namespace = rng.choice(NAMESPACES)
            pod = self.pods[f"{namespace}/p{number}"] = self._pod(f"p{number}")
            yield _post(f"{CORE}/namespaces/{namespace}/pods", pod)
        yield from _rights()

    def _volume(self, namespace: str, name: str) -> Exchange:
        rng = self.rng
        secret = {"name": rng.choice(NAMES), "namespace": rng.choice(NAMESPACES)}
        source: Document = rng.choice(
            (
                {"csi": {"driver": "nx.csi.example.com", "volumeHandle": "v", "nodePublishSecretRef": secret}},
                {"csi": {"driver": "nx.csi.example.com", "volumeHandle": "v", "nodeStageSecretRef": secret}},
                {"csi": {"driver": "nx.csi.example.com", "volumeHandle": "v", "controllerPublishSecretRef": secret}},
                {"csi": {"driver": "nx.gone.example.com", "volumeHandle": "v"}},
                {"azureFile": {"secretName": secret["name"], "shareName": "s", "secretNamespace": secret["namespace"]}},
                {"cephfs": {"monitors": ["m"], "secretRef": {"name": secret["name"]}}},
                {"azureDisk": {"diskName": "d", "diskURI": "/subscriptions/s", "kind": "Managed"}},
                {"hostPath": {"path": "/x"}},
            )
        )
        spec = {**source, "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
        if self._chance(0.85):
            spec["claimRef"] = {"namespace": namespace, "name": name}
        return _named(f"{CORE}/persistentvolumes", f"nx-{namespace}-{name}", spec=spec)

    def _pod(self, name: str) -> Document:
        rng = self.rng
        container: Document = {"name": "c", "image": "i"}
        if self._chance(0.3):
            container["envFrom"] = [{rng.choice(("secretRef", "configMapRef")): {"name": rng.choice(NAMES)}}]
        if self._chance(0.3):
            key = rng.choice(("secretKeyRef", "configMapKeyRef"))
            container["env"] = [{"name": "E", "valueFrom": {key: {"name": rng.choice(NAMES), "key": "k"}}}]
        spec: Document = {"containers": [container], "serviceAccountName": rng.choice(ACCOUNTS)}
        if self._chance(0.8):
            spec["nodeName"] = rng.choice(NODES[:2])
        if self._chance(0.2):
            spec["imagePullSecrets"] = [{"name": rng.choice(NAMES)}]
        if self._chance(0.2):
            spec["automountServiceAccountToken"] = False
        if self._chance(0.2):
            spec["resourceClaims"] = [{"name": "r", "resourceClaimName": rng.choice(NAMES)}]
        if volumes := [self._pod_volume(f"v{number}") for number in range(rng.randint(0, 2))]:
            spec["volumes"] = volumes
        return {"metadata": {"name": name}, "spec": spec}

    def _pod_volume(self, name: str) -> Document:
        rng = self.rng
        other = rng.choice(NAMES)
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        token = {"path": "t", "audience": rng.choice(AUDIENCES[1:])}
        source: Document = rng.choice(
            (
                {"secret": {"secretName": other}},
                {"configMap": {"name": other}},
                {"persistentVolumeClaim": {"claimName": other}},
                {"projected": {"sources": [{"secret": {"name": other}}, {"configMap": {"name": other}}]}},
                {"projected": {"sources": [{"serviceAccountToken": token}]}},
                {"csi": {"driver": "nx.csi.example.com", "nodePublishSecretRef": {"name": other}}},
                {"ephemeral": {"volumeClaimTemplate": {"spec": claim}}},
                {"azureFile": {"secretName": other, "shareName": "s"}},
                {"azureDisk": {"diskName": "d", "diskURI": "/subscriptions/s", "kind": "Managed"}},
                {"emptyDir": {}},
            )
        )
        return {"name": name, **source}

    def _changes(self) -> Iterator[Exchange]:
        """Pods go, are bound, and volumes change."""
        rng = self.rng
        for place, pod in self.pods.items():
            namespace, name = place.split("/")
            url = f"{CORE}/namespaces/{namespace}/pods/{name}"
            if "nodeName" not in pod["spec"]:
                target = {"apiVersion": "v1", "kind": "Node", "name": rng.choice(NODES[:2])}
                yield _post(f"{url}/binding", {"metadata": {"name": name}, "target": target})
            elif self._chance(0.3):
                yield Exchange("", "DELETE", url, {"gracePeriodSeconds": 0})
            elif claims := pod["spec"].get("resourceClaims"):
                body = {"status": {"resourceClaimStatuses": [{"name": claims[0]["name"], "resourceClaimName": "z"}]}}
                yield Exchange("", "PATCH", f"{url}/status", body, MERGE)
        for namespace in NAMESPACES:
            for name in rng.sample(NAMES, 2):
                yield Exchange("", "DELETE", f"{CORE}/persistentvolumes/nx-{namespace}-{name}", None)
        yield Exchange("", "DELETE", f"{DEVICES}/resourceslices/nx-{NODES[0]}", None)

    # --- what is asked

    def _who(self, administrators: float = 0.0) -> Document:
        rng = self.rng
        name = rng.choice((*NODES[:2], *NODES[:2], NODES[2], *STRANGERS))
        groups = ["system:nodes"]
        if self._chance(administrators):
            groups.append("nx-admins")
        if self._chance(0.05):
            # Without any group it would be up to kube-apiserver's cache in which mode it is impersonated.
            groups[0] = "nx-others"
        return {"username": f"system:node:{name}", "groups": groups}

    def _questions(self) -> Iterator[Ask]:
        rng = self.rng
        resources = (
            "secrets", "configmaps", "persistentvolumeclaims", "persistentvolumes", "serviceaccounts", "pods", "nodes",
            "pods/status", "pods/eviction", "pods/log", "nodes/status", "nodes/proxy", "persistentvolumeclaims/status",
            "serviceaccounts/token", "services", "events", "endpoints", "secrets/x",
        )  # fmt: skip
        grouped = (
            "resourceclaims.resource.k8s.io", "resourceslices.resource.k8s.io", "volumeattachments.storage.k8s.io",
            "leases.coordination.k8s.io", "csinodes.storage.k8s.io", "csidrivers.storage.k8s.io",
            "podcertificaterequests.certificates.k8s.io", "certificatesigningrequests.certificates.k8s.io",
            "runtimeclasses.node.k8s.io", "deployments.apps", "tokenreviews.authentication.k8s.io",
            "csinodes/status.storage.k8s.io", "resourceslices/status.resource.k8s.io",
        )  # fmt: skip
        verbs = ("get", "get", "get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "use")
        for _ in range(self.size.questions):
            who = self._who()
            spec: Document = {"user": who["username"], "groups": who["groups"]}
            if self._chance(0.03):
                spec["nonResourceAttributes"] = {"path": rng.choice(("/healthz", "/metrics")), "verb": "get"}
            else:
                full, _, group = rng.choice((*resources, *grouped, *resources[:9])).partition(".")
                resource, _, subresource = full.partition("/")
                given = {
                    "verb": rng.choice(verbs), "group": group, "resource": resource, "subresource": subresource,
                    "namespace": rng.choice((*NAMESPACES, *NAMESPACES, "", "kube-node-lease")),
                    "name": self._name_of(resource),
                }  # fmt: skip
                spec["resourceAttributes"] = {key: value for key, value in given.items() if value}
                if self._chance(0.25):
                    spec["resourceAttributes"]["fieldSelector"] = self._selector()
            yield Ask(_post(f"{REVIEWS}/subjectaccessreviews", {"spec": spec}))
        for _ in range(10):
            body = {"spec": {"namespace": rng.choice(NAMESPACES)}}
            yield Ask(_post(f"{REVIEWS}/selfsubjectrulesreviews", body), self._who())

    def _name_of(self, resource: str) -> str:
        rng = self.rng
        if self._chance(0.1):
            return ""
        match resource:
            case "pods":
                return f"p{rng.randrange(self.size.pods)}"
            case "nodes" | "leases" | "csinodes":
                return rng.choice((*NODES, "nx-none"))
            case "serviceaccounts":
                return rng.choice((*ACCOUNTS, "gone"))
            case "persistentvolumes":
                return f"nx-{rng.choice(NAMESPACES)}-{rng.choice(NAMES)}"
            case "resourceslices" | "volumeattachments":
                return rng.choice((*(f"nx-{node}" for node in NODES), "nx-all", "nx-gone"))
        return rng.choice((*NAMES, "gone", f"p{rng.randrange(self.size.pods)}-v0", "z"))

    def _selector(self) -> Document:
        rng = self.rng
        field, node = rng.choice(("spec.nodeName", "spec.nodeName", "metadata.name")), rng.choice(NODES)
        if self._chance(0.5):
            mark = rng.choice(("=", "=", "==", "!="))
            return {"rawSelector": rng.choice((f"{field}{mark}{node}", f"a=b,{field}={node}", "=,"))}
        operator = rng.choice(("In", "In", "NotIn", "Exists"))
        values = [] if operator == "Exists" else [node]
        return {"requirements": [{"key": field, "operator": operator, "values": values}]}

    def _reads(self) -> Iterator[Ask]:
        rng = self.rng
        for _ in range(self.size.reads):
            namespace = rng.choice(NAMESPACES)
            resource = rng.choice(("secrets", "configmaps", "persistentvolumeclaims", "pods", "serviceaccounts"))
            url = f"{CORE}/namespaces/{namespace}/{resource}"
            form = rng.random()
            if form < 0.5:
                url = f"{url}/{self._name_of(resource) or 'a'}"
            elif form < 0.7:
                url = f"{url}?fieldSelector=metadata.name%3D{self._name_of(resource) or 'a'}"
            elif form < 0.85:
                url = f"{CORE}/pods?fieldSelector=spec.nodeName%3D{rng.choice(NODES)}"
            else:
                url = rng.choice((f"{CORE}/nodes/{rng.choice(NODES)}", f"{CORE}/nodes", f"{STORAGE}/csidrivers", url))
            yield Ask(Exchange("", "GET", url), self._who())

    def _writes(self) -> Iterator[Ask]:
        for _ in range(self.size.writes):
            made = self.rng.choice(
                (
                    self._node_write, self._node_write, self._mirror, self._mirror, self._pod_write, self._token,
                    self._token, self._token, self._own, self._slice_write, self._claim_status, self._certificate,
                )
            )  # fmt: skip
            who = self._who(0.6)
            exchange = made(who["username"].removeprefix("system:node:"))
            mark = "&" if "?" in exchange.url else "?"
            yield Ask(exchange._replace(url=f"{exchange.url}{mark}dryRun=All"), who)

    def _labels(self) -> Document:
        keys = (
            "nx", "kubernetes.io/hostname", "kubernetes.io/other", "node-restriction.kubernetes.io/team", "x.k8s.io/a",
            "a.node-restriction.kubernetes.io/b", "node.kubernetes.io/own", "kubelet.kubernetes.io/own",
            "topology.kubernetes.io/zone", "example.com/free",
        )  # fmt: skip
        return {key: self.rng.choice("xyz") for key in self.rng.sample(keys, self.rng.randint(0, 2))}

    def _node_write(self, me: str) -> Exchange:
        rng = self.rng
        name = me if me and self._chance(0.7) else rng.choice(NODES)
        if self._chance(0.2):
            body: Document = {"metadata": {"name": name, "labels": self._labels()}}
            if self._chance(0.2):
                body["metadata"] = {"generateName": f"{name}-"}
            return _post(f"{CORE}/nodes", body)
        if self._chance(0.1):
            return Exchange("", "DELETE", f"{CORE}/nodes/{name}", None)
        url = f"{CORE}/nodes/{name}{rng.choice(('', '/status'))}"
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u"}
        patch: Document = rng.choice(
            (
                {"metadata": {"labels": self._labels()}},
                {"metadata": {"annotations": {"a": "b"}}},
                {"metadata": {"ownerReferences": [owner]}},
                {"spec": {"taints": [{"key": "t", "effect": "NoSchedule"}]}},
                {"spec": {"unschedulable": True}},
                {"status": {"conditions": [{"type": "Ready", "status": "True"}]}},
            )
        )
        return Exchange("", "PATCH", url, patch, rng.choice((MERGE, STRATEGIC)))

    def _mirror(self, me: str) -> Exchange:
        rng, node = self.rng, me or NODES[0]
        pod = self._pod("nx-mirror")
        pod["spec"].pop("serviceAccountName")
        pod["spec"].pop("automountServiceAccountToken", None)
        pod["spec"]["nodeName"] = node if self._chance(0.9) else NODES[1]
        if self._chance(0.4):
            pod["spec"].pop("volumes", None)
            pod["spec"].pop("resourceClaims", None)
            pod["spec"].pop("imagePullSecrets", None)
            pod["spec"]["containers"] = [{"name": "c", "image": "i"}]
        owner: Document = {
            "apiVersion": "v1", "kind": "Node", "name": node, "controller": True,
            "uid": f"{{uid:nodes//{node}}}" if node in NODES else "u",
        }  # fmt: skip
        if self._chance(0.3):
            changes: tuple[Document, ...] = (
                {"name": "other"}, {"kind": "Pod"}, {"controller": False}, {"blockOwnerDeletion": True}, {"uid": "u"},
            )  # fmt: skip
            owner.update(rng.choice(changes))
        owners = rng.choice(([owner], [owner], [owner], [owner, {**owner, "uid": "v", "controller": False}], []))
        pod["metadata"]["ownerReferences"] = owners
        if self._chance(0.85):
            pod["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
        return _post(f"{CORE}/namespaces/{rng.choice(NAMESPACES)}/pods", pod)

    def _pod_write(self, me: str) -> Exchange:
        rng = self.rng
        place = rng.choice(list(self.pods))
        namespace, name = place.split("/")
        url = f"{CORE}/namespaces/{namespace}/pods/{name}"
        match rng.choice(("delete", "status", "status", "status", "eviction", "gone", "update", "ephemeral")):
            case "delete":
                return Exchange("", "DELETE", url, None)
            case "eviction":
                body = {"metadata": {"name": name}, "apiVersion": "policy/v1", "kind": "Eviction"}
                return _post(f"{url}/eviction", body)
            case "gone":
                gone = f"{CORE}/namespaces/{namespace}/pods/gone"
                return _post(f"{gone}/eviction", {"metadata": {"name": "gone"}})
            case "update":
                return Exchange("", "PATCH", url, {"metadata": {"labels": {"a": "b"}}}, MERGE)
            case "ephemeral":
                return Exchange("", "PATCH", f"{url}/ephemeralcontainers", {"metadata": {"labels": {"a": "b"}}}, MERGE)
        patch: Document = rng.choice(
            (
                {"status": {"conditions": [{"type": "Ready", "status": "True"}]}},
                {"metadata": {"labels": {"a": "b"}}},
                {"status": {"resourceClaimStatuses": [{"name": "r", "resourceClaimName": "y"}]}},
                {"metadata": {"annotations": {"a": "b"}}},
            )
        )
        return Exchange("", "PATCH", f"{url}/status", patch, MERGE)

    def _token(self, me: str) -> Exchange:
        rng = self.rng
        place = rng.choice(list(self.pods))
        namespace, name = place.split("/")
        account = self.pods[place]["spec"]["serviceAccountName"] if self._chance(0.9) else rng.choice(ACCOUNTS)
        bound: Document | None = {
            "apiVersion": "v1", "kind": "Pod", "name": name, "uid": f"{{uid:pods/{place}}}",
        }  # fmt: skip
        if self._chance(0.2):
            assert bound is not None
            changes: tuple[Document, ...] = ({"uid": ""}, {"uid": "u"}, {"name": "gone"}, {"kind": "Secret"})
            bound = rng.choice((None, *({**bound, **change} for change in changes)))
        spec: Document = {}
        if self._chance(0.8):
            spec["audiences"] = rng.sample(AUDIENCES[1:], rng.choice((1, 1, 1, 2)))
        if bound is not None:
            spec["boundObjectRef"] = bound
        return _post(f"{CORE}/namespaces/{namespace}/serviceaccounts/{account}/token", {"spec": spec})

    def _own(self, me: str) -> Exchange:
        rng = self.rng
        name = me if me and self._chance(0.6) else rng.choice(NODES)
        namespace = "kube-node-lease" if self._chance(0.8) else NAMESPACES[0]
        url = rng.choice((f"{LEASES}/{namespace}/leases", f"{STORAGE}/csinodes"))
        spec: Document = {"drivers": []} if "csinodes" in url else {"holderIdentity": name}
        match rng.choice(("create", "patch", "delete")):
            case "create":
                meta = {"name": name} if self._chance(0.8) else {"generateName": "x-"}
                return _post(url, {"metadata": meta, "spec": spec})
            case "patch":
                return Exchange("", "PATCH", f"{url}/{name}", {"metadata": {"labels": {"a": "b"}}}, MERGE)
        return Exchange("", "DELETE", f"{url}/{name}", None)

    def _slice_write(self, me: str) -> Exchange:
        rng = self.rng
        node = me if me and self._chance(0.7) else rng.choice(NODES)
        url = f"{DEVICES}/resourceslices"
        match rng.choice(("create", "delete", "collection", "patch")):
            case "create":
                spec = _slice({"allNodes": True} if self._chance(0.2) else {"nodeName": node})
                return _named(url, "nx-new", spec=spec)
            case "delete":
                return Exchange("", "DELETE", f"{url}/nx-{rng.choice((node, 'all'))}", None)
            case "collection":
                selector = f"?fieldSelector=spec.nodeName%3D{node}" if self._chance(0.8) else ""
                return Exchange("", "DELETE", f"{url}{selector}", None)
        return Exchange("", "PATCH", f"{url}/nx-{node}", {"metadata": {"labels": {"a": "b"}}}, MERGE)

    def _claim_status(self, me: str) -> Exchange:
        rng = self.rng
        url = f"{CORE}/namespaces/{rng.choice(NAMESPACES)}/persistentvolumeclaims/{rng.choice(NAMES)}"
        patch: Document = rng.choice(
            (
                {"status": {"capacity": {"storage": "2Gi"}}},
                {"status": {"conditions": [{"type": "FileSystemResizePending", "status": "True"}]}},
                {"status": {"phase": "Bound"}},
                {"metadata": {"labels": {"a": "b"}}},
            )
        )
        return Exchange("", "PATCH", url + rng.choice(("/status", "/status", "/status", "")), patch, MERGE)

    def _certificate(self, me: str) -> Exchange:
        rng = self.rng
        name = f"system:node:{me}" if self._chance(0.6) else rng.choice(("system:node:other", "user"))
        signer = rng.choice(("kubelet-serving", "kube-apiserver-client-kubelet", "kube-apiserver-client"))
        spec = {
            "signerName": f"kubernetes.io/{signer}",
            "request": base64.b64encode(_request_for(name)).decode(),
            "usages": ["client auth"],
        }
        return _named("/apis/certificates.k8s.io/v1/certificatesigningrequests", "nx", spec=spec)


_requests: dict[str, bytes] = {}
_KEY = ec.generate_private_key(ec.SECP256R1())


def _request_for(name: str) -> bytes:
    if name not in _requests:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(_KEY, hashes.SHA256())
        _requests[name] = made.public_bytes(serialization.Encoding.PEM)
    return _requests[name]


def _attachment(node: str) -> Document:
    return {"attacher": "nx.csi.example.com", "nodeName": node, "source": {"persistentVolumeName": "x"}}


def _slice(where: Document) -> Document:
    pool = {"name": "p", "generation": 1, "resourceSliceCount": 1}
    return {"driver": "nx.example.com", "pool": pool, "devices": [], **where}


def _rights() -> Iterator[Exchange]:
    group = "rbac.authorization.k8s.io"

    def bound(name: str, role: str, subject: str) -> Exchange:
        subjects = [{"kind": "Group", "apiGroup": group, "name": subject}]
        reference = {"apiGroup": group, "kind": "ClusterRole", "name": role}
        return _named(f"{RBAC}/clusterrolebindings", name, roleRef=reference, subjects=subjects)

    rule = {"verbs": ["request-serviceaccounts-token-audience"], "apiGroups": [""], "resources": ["nx-allowed"]}
    yield _named(f"{RBAC}/clusterroles", "nx-audience", rules=[rule])
    yield bound("nx-audience", "nx-audience", "system:nodes")
    yield bound("nx-admins", "cluster-admin", "nx-admins")


# --- what is compared

_UID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
# What follows is a printout of the difference of two Go values.
_DIFFERENCE = re.compile(r"(status\.quantity and status\.conditions:).*", re.DOTALL)
_GENERATED = re.compile(r'"(nx-[a-z]+-|x-)[a-z0-9]{5}"')


def essence(code: int, document: Any) -> Any:
    if code >= 400:
        message = _DIFFERENCE.sub(r"\1", _UID.sub("UID", document["message"]))
        details = document.get("details") or {}
        return [code, _GENERATED.sub(r'"\1"', message), document.get("reason"), details.get("kind")]
    if document.get("kind") == "SubjectAccessReview":
        status = document["status"]
        reason = "" if status["allowed"] else status.get("reason", "")
        return [code, status["allowed"], reason, status.get("evaluationError", "")]
    if document.get("kind") == "SelfSubjectRulesReview":
        return [code, document["status"]["incomplete"], document["status"].get("evaluationError", "")]
    return [code]


class Side:
    """One of the two servers, and the uids that it has given."""

    def __init__(self) -> None:
        self.uids: dict[str, str] = {}

    async def send(self, exchange: Exchange, impersonation: Document | None) -> tuple[int, Any]:
        raise NotImplementedError

    async def make(self, exchange: Exchange) -> int:
        code, document = await self.send(exchange, None)
        if code == 201 and "metadata" in document and "name" in document["metadata"]:
            meta = document["metadata"]
            resource = exchange.url.rpartition("/")[2]
            self.uids[f"{resource}/{meta.get('namespace', '')}/{meta['name']}"] = meta.get("uid", "")
        return code

    async def ask(self, ask: Ask) -> Any:
        exchange = ask.exchange
        if exchange.body is not None:
            text = re.sub(r"\{uid:([^}]+)\}", lambda found: self.uids.get(found[1], "none"), json.dumps(exchange.body))
            exchange = exchange._replace(body=json.loads(text))
        return essence(*await self.send(exchange, ask.impersonation))


class Ours(Side):
    def __init__(self) -> None:
        super().__init__()
        self.client = ApiClient(memory_shard(api_set="full"))
        key, ring = make_key(TOKENS, 0), KeyRing()
        ring.take([pb.SigningKey(id=key.id, purpose=TOKENS, private_key=key.private_key, signs=True)])
        self.client.shard.issuer = TokenIssuer(ring, "https://issuer")

    async def send(self, exchange: Exchange, impersonation: Document | None) -> tuple[int, Any]:
        request = self.client.request(exchange.method, exchange.url, exchange.body, exchange.content_type)
        if impersonation is not None:
            request.impersonation = orjson.dumps(impersonation)
        reply = await self.client.send(request)
        return reply.code, reply.json


class Real(Side):
    def __init__(self, kubeconfig: str) -> None:
        super().__init__()
        self._server = RealServer(kubeconfig)

    async def send(self, exchange: Exchange, impersonation: Document | None) -> tuple[int, Any]:
        headers: dict[str, str] = {}
        if impersonation is not None:
            headers["Impersonate-User"] = impersonation["username"]
            # One header line for each group: http.client joins none, and names differ by case only.
            for number, group in enumerate(impersonation["groups"]):
                headers["Impersonate-Group"[: -number or None] + "Group"[5 - number :].upper()] = group
        code, document, _ = self._server.ask(exchange, headers)
        return code, document


async def made(side: Side, exchanges: list[Exchange]) -> list[int]:
    return [await side.make(exchange) for exchange in exchanges]


async def compare(kubeconfig: str, size: Size, seed: int, record: bool) -> int:
    world, real, ours = World(seed, size), Real(kubeconfig), Ours()
    differ, recorded, refused = 0, [], 0
    for stage, exchanges in (("at first", world.objects), ("after changes", world.changes)):
        codes = [await made(side, exchanges) for side in (real, ours)]
        for exchange, one, other in zip(exchanges, *codes, strict=True):
            if one != other:
                print(f"{stage}: {exchange.method} {exchange.url}: real {one}, ours {other}")
        await asyncio.sleep(3)  # the real server's caches follow its writes
        for ask in world.asks:
            wanted, found = await real.ask(ask), json.loads(json.dumps(await ours.ask(ask)))
            recorded.append(wanted)
            refused += wanted[0] >= 400 or wanted[1:2] == [False]
            if found != wanted:
                differ += 1
                if differ <= 30:
                    print(f"{stage}: {ask}\n  real {wanted}\n  ours {found}")
    print(f"{len(world.objects)} objects, {len(recorded)} requests ({refused} refused): {differ} differ")
    if record and not differ:
        RECORD.write_bytes(gzip.compress(json.dumps({"seed": seed, "answers": recorded}).encode(), mtime=0))
    return 1 if differ else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential.node_access")
    parser.add_argument("kubeconfig")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    size = SMALL if arguments.record else WHOLE
    return asyncio.run(compare(arguments.kubeconfig, size, arguments.seed, arguments.record))


if __name__ == "__main__":
    sys.exit(main())
