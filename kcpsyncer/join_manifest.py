"""What `kcp syncer join` hands out: a Secret with a token for the logical cluster, a manifest for the physical one."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import yaml

from kcpsyncer.controllers.agent_rights import BOOTSTRAP_GROUP, CLUSTER_ANNOTATION, RBAC

Object = dict[str, Any]
NAMESPACE = "kcp-syncer"
_READ, _ALL = ["get", "list", "watch"], ["get", "list", "watch", "create", "update", "patch", "delete"]


class Joining(NamedTuple):
    """`server` is the fronts' URL with the logical cluster; `authority` PEM, "" for public ones."""

    cluster: str
    uid: str
    path: str
    server: str
    authority: str
    resources: Sequence[str]
    image: str


def token_secret(id_: str, secret: str, cluster: Mapping[str, Any], expires: datetime) -> Object:
    """A bootstrap token, good for one Cluster and a short time."""
    name, uid = cluster["metadata"]["name"], cluster["metadata"]["uid"]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "bootstrap.kubernetes.io/token",
        "metadata": {
            "name": f"bootstrap-token-{id_}",
            "namespace": "kube-system",
            "annotations": {CLUSTER_ANNOTATION: uid},
        },
        "stringData": {
            "token-id": id_,
            "token-secret": secret,
            "expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "usage-bootstrap-authentication": "true",
            "auth-extra-groups": BOOTSTRAP_GROUP,
            "description": f"lets the agent of Cluster {name} ask for its certificate",
        },
    }


def bootstrap_kubeconfig(joining: Joining, token: str) -> str:
    cluster: Object = {"server": joining.server}
    if joining.authority:
        cluster["certificate-authority-data"] = base64.b64encode(joining.authority.encode()).decode()
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "bootstrap",
            "clusters": [{"name": "kcp", "cluster": cluster}],
            "users": [{"name": "bootstrap", "user": {"token": token}}],
            "contexts": [{"name": "bootstrap", "context": {"cluster": "kcp", "user": "bootstrap"}}],
        },
        sort_keys=False,
    )


def agent_arguments(joining: Joining, kubeconfig: str) -> list[str]:
    return [
        "agent",
        f"--kubeconfig={kubeconfig}",
        f"--logical-cluster={joining.path}",
        f"--cluster={joining.cluster}",
        f"--uid={joining.uid}",
        *(f"--resource={each}" for each in joining.resources),
    ]


def manifest(joining: Joining, token: str) -> list[Object]:
    """For the physical cluster, in the order in which it is to be applied."""
    name = f"kcp-agent-{joining.cluster}"
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{name}-bootstrap", "namespace": NAMESPACE},
        "stringData": {"kubeconfig": bootstrap_kubeconfig(joining, token)},
    }
    subject = {"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": NAMESPACE}},
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": physical_rules(joining),
        },
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
            "subjects": [subject],
        },
        secret,
        _deployment(name, joining),
    ]


def physical_rules(joining: Joining) -> list[Object]:
    """D-2: all that the agent does, and no more than RBAC can tell apart."""
    rules: list[Object] = [
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": _ALL},
        {"apiGroups": [""], "resources": ["secrets", "configmaps", "serviceaccounts"], "verbs": _ALL},
        {"apiGroups": [""], "resources": ["nodes", "pods"], "verbs": _READ},  # what is free
        # What people do in the pods they see upstream; who may is decided there.
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        {
            "apiGroups": [""],
            "resources": ["pods/attach", "pods/exec", "pods/portforward"],
            "verbs": ["get", "create"],
        },
        {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": _READ},
    ]
    for each in joining.resources:
        plural, _, group = each.partition(".")
        rules.append({"apiGroups": [group], "resources": [plural], "verbs": _ALL})
    return rules


def _deployment(name: str, joining: Joining) -> Object:
    container = {
        "name": "agent",
        "image": joining.image,
        "args": [*agent_arguments(joining, "/bootstrap/kubeconfig"), "--in-cluster"],
        "volumeMounts": [{"name": "bootstrap", "mountPath": "/bootstrap", "readOnly": True}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": False,
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}},
    }
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": dict(labels)},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": name,
                    "containers": [container],
                    "volumes": [{"name": "bootstrap", "secret": {"secretName": f"{name}-bootstrap"}}],
                },
            },
        },
    }
