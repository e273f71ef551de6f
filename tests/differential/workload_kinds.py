# ruff: noqa: E501 - a table: one row per fact is worth long lines
"""What the kinds of the `full` set accept, default and refuse: rows for the comparison with a real kube-apiserver.

As in `kinds`, creates are dry runs and updates follow the object they change. Variations are made by paths: a row is a
good object with some of its members replaced.
"""

import copy
from collections.abc import Iterator
from typing import Any

from tests.differential.exchanges import Exchange

NAMESPACED = "namespaces/{ns}/"
PLACES = {
    "Pod": ("v1", "/api/v1/namespaces/{ns}/pods"),
    "PodTemplate": ("v1", "/api/v1/namespaces/{ns}/podtemplates"),
    "ReplicationController": ("v1", "/api/v1/namespaces/{ns}/replicationcontrollers"),
    "Service": ("v1", "/api/v1/namespaces/{ns}/services"),
    "Endpoints": ("v1", "/api/v1/namespaces/{ns}/endpoints"),
    "PersistentVolumeClaim": ("v1", "/api/v1/namespaces/{ns}/persistentvolumeclaims"),
    "PersistentVolume": ("v1", "/api/v1/persistentvolumes"),
    "Node": ("v1", "/api/v1/nodes"),
    "Deployment": ("apps/v1", "/apis/apps/v1/namespaces/{ns}/deployments"),
    "ReplicaSet": ("apps/v1", "/apis/apps/v1/namespaces/{ns}/replicasets"),
    "StatefulSet": ("apps/v1", "/apis/apps/v1/namespaces/{ns}/statefulsets"),
    "DaemonSet": ("apps/v1", "/apis/apps/v1/namespaces/{ns}/daemonsets"),
    "ControllerRevision": ("apps/v1", "/apis/apps/v1/namespaces/{ns}/controllerrevisions"),
    "Job": ("batch/v1", "/apis/batch/v1/namespaces/{ns}/jobs"),
    "CronJob": ("batch/v1", "/apis/batch/v1/namespaces/{ns}/cronjobs"),
    "HorizontalPodAutoscaler": ("autoscaling/v2", "/apis/autoscaling/v2/namespaces/{ns}/horizontalpodautoscalers"),
    "PodDisruptionBudget": ("policy/v1", "/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets"),
    "Ingress": ("networking.k8s.io/v1", "/apis/networking.k8s.io/v1/namespaces/{ns}/ingresses"),
    "IngressClass": ("networking.k8s.io/v1", "/apis/networking.k8s.io/v1/ingressclasses"),
    "NetworkPolicy": ("networking.k8s.io/v1", "/apis/networking.k8s.io/v1/namespaces/{ns}/networkpolicies"),
    "EndpointSlice": ("discovery.k8s.io/v1", "/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices"),
    "StorageClass": ("storage.k8s.io/v1", "/apis/storage.k8s.io/v1/storageclasses"),
    "CSIDriver": ("storage.k8s.io/v1", "/apis/storage.k8s.io/v1/csidrivers"),
    "CSINode": ("storage.k8s.io/v1", "/apis/storage.k8s.io/v1/csinodes"),
    "PriorityClass": ("scheduling.k8s.io/v1", "/apis/scheduling.k8s.io/v1/priorityclasses"),
    "RuntimeClass": ("node.k8s.io/v1", "/apis/node.k8s.io/v1/runtimeclasses"),
    "FlowSchema": ("flowcontrol.apiserver.k8s.io/v1", "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas"),
    "PriorityLevelConfiguration": ("flowcontrol.apiserver.k8s.io/v1", "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations"),
    "ValidatingWebhookConfiguration": ("admissionregistration.k8s.io/v1", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"),
    "MutatingWebhookConfiguration": ("admissionregistration.k8s.io/v1", "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"),
    "ResourceClaim": ("resource.k8s.io/v1", "/apis/resource.k8s.io/v1/namespaces/{ns}/resourceclaims"),
}  # fmt: skip

POD_SPEC: dict[str, Any] = {
    "containers": [{"name": "a", "image": "x"}],
    "automountServiceAccountToken": False,
    "serviceAccountName": "default",
}
LABELS = {"app": "a"}
TEMPLATE: dict[str, Any] = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "a", "image": "x"}]}}
SELECTOR = {"matchLabels": LABELS}
WORKLOAD: dict[str, Any] = {"spec": {"selector": SELECTOR, "template": TEMPLATE}}
Change = dict[str, Any]
ABSENT = "absent"


def varied(base: Change, change: Change) -> Change:
    """`base` with members replaced: keys are paths with dots, numbers index lists (one past the end appends)."""
    found = copy.deepcopy(base)
    for path, value in change.items():
        *steps, last = path.split(".")
        place: Any = found
        for step in steps:
            place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
        if value == ABSENT:
            del place[last]
        elif isinstance(place, list):
            place[int(last) : int(last) + 1] = [value]
        else:
            place[last] = copy.deepcopy(value)
    return found


def _document(kind: str, name: str, members: Change) -> Change:
    found = {"apiVersion": PLACES[kind][0], "kind": kind, **members}
    return {**found, "metadata": {"name": name, **members.get("metadata", {})}}


def created(kind: str, base: Change, *changes: Change, name: str = "{ns}-a") -> Iterator[Exchange]:
    for place, change in enumerate(({}, *changes)):
        body = _document(kind, name, varied(base, change))
        yield Exchange(f"{kind} {place} {' '.join(change)}", "POST", PLACES[kind][1] + "?dryRun=All", body)


def updated(kind: str, base: Change, *changes: Change, name: str = "{ns}-u") -> Iterator[Exchange]:
    """`@` names the subresource."""
    key = f"{kind.lower()}{len(str(base))}"
    yield Exchange(f"{kind} made", "POST", PLACES[kind][1], _document(kind, name, base), save=key)
    for place, change in enumerate(changes):
        change = dict(change)
        part = change.pop("@", "")
        body = _document(kind, name, varied(base, change))
        body["metadata"]["resourceVersion"] = f"$rv:{key}"
        yield Exchange(
            f"{kind} update {place} {' '.join(change)}", "PUT", f"{PLACES[kind][1]}/{name}{part}?dryRun=All", body
        )


def _containers() -> Iterator[Exchange]:
    c = "spec.containers.0"
    probe = {"httpGet": {"port": 80}}
    yield from created(
        "Pod", {"spec": POD_SPEC},
        *({f"{c}.name": v} for v in ("", "A", "a" * 64)), {f"{c}.image": ""}, *({f"{c}.image": v} for v in ("x:latest", "x:1", "r:5000/x", "x@sha256:" + "a" * 64, "r:5000/x:latest")),
        {f"{c}.imagePullPolicy": "Sometimes"}, {f"{c}.imagePullPolicy": "Never"}, {f"{c}.terminationMessagePolicy": "x"},
        *({f"{c}.ports": v} for v in ([{"containerPort": 80}], [{"containerPort": 0}], [{"containerPort": 99999}], [{"containerPort": 80, "name": "UPPER"}], [{"containerPort": 80, "name": "12"}],
            [{"containerPort": 80, "protocol": "x"}], [{"containerPort": 80, "name": "a"}, {"containerPort": 81, "name": "a"}], [{"containerPort": 80, "hostPort": 80}, {"containerPort": 81, "hostPort": 80}], [{"containerPort": 1, "name": "a" * 16}])),
        *({f"{c}.env": v} for v in ([{"name": "A", "value": "b"}], [{"name": ""}], [{"name": "a=b"}], [{"name": "a b"}], [{"name": "A", "value": ""}], [{"name": "A", "valueFrom": {}}], [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}], [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": ""}}}], [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}}],
            [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}], [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "x"}}}], [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "2"}}}],
            [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "y"}}}], [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "", "key": ""}}}], [{"name": "A", "value": "x", "valueFrom": {"secretKeyRef": {"name": "x", "key": "a b"}}}])),
        *({f"{c}.envFrom": v} for v in ([{}], [{"configMapRef": {"name": "x"}}], [{"secretRef": {}}], [{"prefix": "=", "secretRef": {"name": "x"}}])),
        *({f"{c}.resources": v} for v in ({"limits": {"cpu": "1"}}, {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}, {"limits": {"x": "1"}}, {"limits": {"a.io/x": "1"}}, {"requests": {"a.io/x": "1"}}, {"limits": {"memory": "-1"}},
            {"limits": {"hugepages-2Mi": "2Mi"}}, {"requests": {"cpu": "100m", "memory": "1Gi"}}, {"limits": {"cpu": "1", "memory": "1Gi"}}, {"limits": {"a.io/x": "1.5"}}, {"limits": {"pods": "1"}}, {"claims": [{"name": "x"}]}, {"limits": {"a_b/": "1"}})),
        *({f"{c}.livenessProbe": v} for v in (probe, {}, {"httpGet": {"port": 0}}, {"httpGet": {"port": "A_"}}, {"exec": {}}, {"exec": {"command": ["x"]}, "tcpSocket": {"port": 1}}, {**probe, "successThreshold": 2}, {**probe, "periodSeconds": -1},
            {"httpGet": {"port": 80, "scheme": "x", "path": "y", "httpHeaders": [{"name": "a b", "value": ""}]}}, {"grpc": {"port": 80}}, {**probe, "terminationGracePeriodSeconds": 0}, {"tcpSocket": {"port": "http"}})),
        {f"{c}.readinessProbe": {**probe, "successThreshold": 2}}, {f"{c}.readinessProbe": {**probe, "terminationGracePeriodSeconds": 5}}, {f"{c}.startupProbe": {**probe, "failureThreshold": 9}},
        {f"{c}.lifecycle": {"preStop": {"exec": {"command": ["x"]}}}}, {f"{c}.lifecycle": {"preStop": {}}}, {f"{c}.lifecycle": {"postStart": {"httpGet": {"port": 80}}}}, {f"{c}.lifecycle": {"preStop": {"sleep": {"seconds": 99}}}}, {f"{c}.lifecycle": {"preStop": {"sleep": {"seconds": 5}}}},
        *({f"{c}.securityContext": v} for v in ({"privileged": True}, {"runAsUser": -1}, {"runAsGroup": -1}, {"allowPrivilegeEscalation": False, "privileged": True}, {"procMount": "x"}, {"seccompProfile": {"type": "x"}}, {"seccompProfile": {"type": "Localhost"}},
            {"seccompProfile": {"type": "RuntimeDefault", "localhostProfile": "x"}}, {"capabilities": {"add": ["X"]}}, {"seccompProfile": {"type": "Localhost", "localhostProfile": "/x"}})),
        {f"{c}.restartPolicy": "Always"}, {f"{c}.restartPolicy": "x"}, {f"{c}.resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}]}, {f"{c}.resizePolicy": [{"resourceName": "x", "restartPolicy": "y"}]},
        {"spec.containers.1": {"name": "a", "image": "y"}}, {"spec.containers.1": {"name": "b", "image": "y"}}, {"spec.containers": []}, {"spec.initContainers": [{"name": "a", "image": "x"}]}, {"spec.initContainers": [{"name": "i", "image": "x"}]},
        {"spec.initContainers": [{"name": "i", "image": "x", "livenessProbe": probe}]}, {"spec.initContainers": [{"name": "i", "image": "x", "restartPolicy": "Always", "livenessProbe": probe}]}, {"spec.initContainers": [{"name": "i", "image": "x", "lifecycle": {}}]},
        {"spec.ephemeralContainers": [{"name": "e", "image": "x"}]},
    )  # fmt: skip


def _volumes() -> Iterator[Exchange]:
    c = "spec.containers.0"
    mounted = varied(
        {"spec": POD_SPEC}, {"spec.volumes": [{"name": "v"}], f"{c}.volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    )
    v = "spec.volumes.0"
    yield from created(
        "Pod", mounted, {f"{v}.name": ""}, {f"{v}.name": "V"}, {f"{v}.hostPath": {"path": "/x"}}, {f"{v}.hostPath": {"path": ""}}, {f"{v}.hostPath": {"path": "/x/../y"}}, {f"{v}.hostPath": {"path": "/x", "type": "y"}},
        {f"{v}.emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}, {f"{v}.emptyDir": {}, f"{v}.hostPath": {"path": "/x"}}, {f"{v}.secret": {"secretName": "s"}}, {f"{v}.secret": {}}, {f"{v}.secret": {"secretName": "s", "defaultMode": 4096}},
        {f"{v}.secret": {"secretName": "s", "items": [{"key": "", "path": "/x"}]}}, {f"{v}.secret": {"secretName": "s", "items": [{"key": "k", "path": "..x", "mode": -1}]}}, {f"{v}.configMap": {"name": "c"}}, {f"{v}.configMap": {}}, {f"{v}.configMap": {"name": "c", "items": [{"key": "a", "path": "../a"}]}},
        {f"{v}.persistentVolumeClaim": {"claimName": "c"}}, {f"{v}.persistentVolumeClaim": {"claimName": ""}}, {f"{v}.downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.labels"}}]}}, {f"{v}.downwardAPI": {"items": [{"path": "a"}]}},
        {f"{v}.downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "status.podIP"}}]}}, {f"{v}.downwardAPI": {"items": [{"path": "", "resourceFieldRef": {"resource": "limits.cpu"}}]}},
        {f"{v}.projected": {"sources": [{"configMap": {"name": "c"}}, {"secret": {"name": "s"}}]}}, {f"{v}.projected": {"sources": [{}]}}, {f"{v}.projected": {"sources": [{"secret": {}}]}}, {f"{v}.projected": {}},
        {f"{v}.projected": {"sources": [{"downwardAPI": {"items": [{"path": "x", "fieldRef": {"fieldPath": "metadata.name"}}]}}]}}, {f"{v}.nfs": {"server": "s", "path": "/p"}}, {f"{v}.nfs": {"server": "", "path": "p"}}, {f"{v}.csi": {"driver": "a.b"}}, {f"{v}.csi": {"driver": ""}},
        {f"{v}.ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}}}, {f"{v}.ephemeral": {}}, {f"{v}.image": {"reference": "x"}}, {f"{v}.iscsi": {"targetPortal": "1.2.3.4", "iqn": "iqn.2000-01.a:b", "lun": 0}},
        *({f"{c}.volumeMounts": m} for m in ([{"name": "x", "mountPath": "/x"}], [{"name": "v", "mountPath": ""}], [{"name": "v", "mountPath": "/v"}, {"name": "v", "mountPath": "/v"}], [{"name": "v", "mountPath": "/v", "subPath": "/x"}],
            [{"name": "v", "mountPath": "/v", "subPath": "../x"}], [{"name": "v", "mountPath": "/v", "subPath": "a", "subPathExpr": "b"}], [{"name": "v", "mountPath": "/v", "mountPropagation": "x"}], [{"name": "v", "mountPath": "/v", "mountPropagation": "Bidirectional"}], [{"name": "v", "mountPath": "/v", "readOnly": True}], [{"name": "", "mountPath": "/v"}])),
        {f"{c}.volumeDevices": [{"name": "v", "devicePath": "/d"}]}, {f"{c}.volumeDevices": [{"name": "z", "devicePath": ""}]}, {"spec.volumes.1": {"name": "v"}},
    )  # fmt: skip


def _pods() -> Iterator[Exchange]:
    affinity, spread = "spec.affinity", "spec.topologySpreadConstraints"
    term = {"topologyKey": "z", "labelSelector": SELECTOR}
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    preferred = "preferredDuringSchedulingIgnoredDuringExecution"
    expression = {"key": "a", "operator": "In", "values": ["b"]}
    yield from created(
        "Pod", {"spec": POD_SPEC}, *({"spec.restartPolicy": v} for v in ("x", "Never")), *({"spec.dnsPolicy": v} for v in ("x", "None", "Default")), {"spec.dnsPolicy": "None", "spec.dnsConfig": {"nameservers": ["1.2.3.4"]}},
        {"spec.dnsConfig": {"nameservers": ["x", "1.1.1.1", "1.1.1.2", "1.1.1.3"], "searches": ["A_"], "options": [{}]}}, {"spec.nodeSelector": {"a b": "c d"}}, {"spec.nodeSelector": {"a": "b"}}, {"spec.activeDeadlineSeconds": 0}, {"spec.activeDeadlineSeconds": 5},
        {"spec.hostname": "A"}, {"spec.subdomain": "a.b"}, {"spec.nodeName": "A_"}, {"spec.nodeName": "n"}, {"spec.hostAliases": [{"ip": "x", "hostnames": ["A_"]}]}, {"spec.hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a"]}]}, {"spec.terminationGracePeriodSeconds": 0},
        {"spec.hostNetwork": True, "spec.containers.0.ports": [{"containerPort": 80}]}, {"spec.hostNetwork": True, "spec.containers.0.ports": [{"containerPort": 80, "hostPort": 81}]}, {"spec.securityContext": {"runAsUser": -1, "fsGroup": -1, "supplementalGroups": [-1]}},
        {"spec.securityContext": {"fsGroupChangePolicy": "x"}}, {"spec.securityContext": {"sysctls": [{"name": "", "value": "x"}, {"name": "a.b", "value": "1"}, {"name": "a.b", "value": "2"}]}}, {"spec.shareProcessNamespace": True, "spec.hostPID": True}, {"spec.securityContext": {"seccompProfile": {"type": "Unconfined"}}},
        {"spec.tolerations": [{"key": "a"}]}, {"spec.tolerations": [{}]}, {"spec.tolerations": [{"operator": "Exists"}]}, {"spec.tolerations": [{"operator": "Exists", "value": "x"}]}, {"spec.tolerations": [{"key": "a b", "operator": "x", "effect": "y"}]}, {"spec.tolerations": [{"key": "a", "tolerationSeconds": 5}]},
        {"spec.tolerations": [{"key": "a", "effect": "NoExecute", "tolerationSeconds": 5}]}, {"spec.tolerations": [{"key": "a", "value": "b c"}]}, {"spec.readinessGates": [{"conditionType": "a b"}]}, {"spec.schedulingGates": [{"name": "a"}, {"name": "a"}]}, {"spec.schedulingGates": [{"name": "g"}]}, {"spec.schedulingGates": [{"name": "g"}], "spec.nodeName": "n"},
        {"spec.preemptionPolicy": "x"}, {"spec.enableServiceLinks": False}, {"spec.os": {"name": "x"}}, {"spec.os": {"name": "linux"}}, {"spec.setHostnameAsFQDN": True}, {"spec.serviceAccountName": "A_"}, {"status": {"phase": "Running"}}, {"metadata": {"labels": {"a b": "c"}}}, {"spec.imagePullSecrets": [{"name": "x"}]},
        {f"{affinity}.nodeAffinity.{required}": {"nodeSelectorTerms": []}}, {f"{affinity}.nodeAffinity.{required}": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}, {f"{affinity}.nodeAffinity.{required}": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In"}, {"key": "b", "operator": "x"}, {"key": "c", "operator": "Gt", "values": []}, {"key": "d", "operator": "Exists", "values": ["x"]}]}]}},
        {f"{affinity}.nodeAffinity.{required}": {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}, {"key": "x", "operator": "Exists"}]}]}}, {f"{affinity}.nodeAffinity.{preferred}": [{"weight": 0, "preference": {"matchExpressions": [expression]}}]},
        {f"{affinity}.podAffinity.{required}": [term]}, {f"{affinity}.podAffinity.{required}": [{**term, "topologyKey": ""}]}, {f"{affinity}.podAntiAffinity.{preferred}": [{"weight": 101, "podAffinityTerm": term}]}, {f"{affinity}.podAntiAffinity.{required}": [{**term, "namespaces": ["A_"], "labelSelector": {"matchExpressions": [{"key": "a", "operator": "x"}]}}]},
        {spread: [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": SELECTOR}]}, {spread: [{"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "x"}]}, {spread: [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway", "minDomains": 2, "labelSelector": SELECTOR}]},
        {"spec.resourceClaims": [{"name": "A"}, {"name": "a", "resourceClaimName": "x", "resourceClaimTemplateName": "y"}]}, {"spec.overhead": {"cpu": "1"}}, {"spec.runtimeClassName": "A_"}, {"spec.hostUsers": False}, {"spec.priorityClassName": "nope"},
    )  # fmt: skip
    yield from updated(
        "Pod", {"spec": POD_SPEC}, {}, {"spec.containers.0.image": "y"}, {"spec.containers.0.name": "b"}, {"spec.containers.1": {"name": "b", "image": "y"}}, {"spec.activeDeadlineSeconds": 5}, {"spec.nodeSelector": {"a": "b"}}, {"spec.tolerations": [{"key": "a", "operator": "Exists"}]},
        {"metadata": {"labels": {"x": "y"}}}, {"spec.schedulingGates": [{"name": "a"}]}, {"spec.terminationGracePeriodSeconds": 5}, {"@": "/status", "status": {"phase": "Running", "podIP": "1.2.3.4", "conditions": [{"type": "Ready", "status": "True"}]}}, {"@": "/status", "status": {"podIPs": [{"ip": "x"}]}},
    )  # fmt: skip


def _apps() -> Iterator[Exchange]:
    c = "spec.template.spec.containers.0"
    shared: tuple[Change, ...] = (
        {"spec.selector": ABSENT}, {"spec.selector": {}}, {"spec.selector.matchLabels": {"app": "b"}}, {"spec.selector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["a"]}]}}, {"spec.selector": {"matchExpressions": [{"key": "app", "operator": "x"}]}},
        {"spec.template": ABSENT}, {"spec.template.spec.restartPolicy": "Never"}, {"spec.template.spec.activeDeadlineSeconds": 5}, {f"{c}.image": ""}, {f"{c}.name": "A"}, {"spec.template.metadata.labels": {"app": "a", "b c": "d"}}, {"spec.replicas": -1}, {"spec.minReadySeconds": -1}, {"spec.revisionHistoryLimit": -1},
        {"status": {"replicas": 5}}, {"spec.template.spec.ephemeralContainers": [{"name": "e", "image": "x"}]}, {f"{c}.env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}, {f"{c}.resources": {"limits": {"cpu": "1"}}}, {"spec.template.spec.volumes": [{"name": "v", "configMap": {"name": "c"}}]},
        {"spec.template.spec.serviceAccount": "x"}, {"spec.template.spec.nodeSelector": {"a": "b"}}, {"spec.template.metadata.annotations": {"a b": "c"}},
    )  # fmt: skip
    rolling = "spec.strategy.rollingUpdate"
    yield from created(
        "Deployment", WORKLOAD, *shared, {"spec.replicas": 0}, {"spec.strategy": {"type": "Recreate"}}, {"spec.strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}}, {"spec.strategy": {"type": "x"}}, {rolling: {"maxSurge": 0, "maxUnavailable": 0}}, {rolling: {"maxSurge": "x"}}, {rolling: {"maxUnavailable": "101%"}},
        {rolling: {"maxSurge": -1}}, {rolling: {"maxSurge": "200%"}}, {rolling: {"maxUnavailable": 3}}, {"spec.progressDeadlineSeconds": 0}, {"spec.progressDeadlineSeconds": 10, "spec.minReadySeconds": 10}, {"spec.paused": True}, {"spec.progressDeadlineSeconds": -1},
    )  # fmt: skip
    status = {"@": "/status"}
    replicas: tuple[Change, ...] = tuple(
        {**status, "status": s} for s in ({"replicas": 2, "readyReplicas": 1}, {"replicas": -1}, {"replicas": 1, "readyReplicas": 2}, {"replicas": 2, "availableReplicas": 2, "readyReplicas": 1})
    )  # fmt: skip
    yield from updated(
        "Deployment",
        WORKLOAD,
        {},
        {"spec.replicas": 3},
        {"spec.selector.matchLabels": {"app": "b"}, "spec.template.metadata.labels": {"app": "b"}},
        {f"{c}.image": "y"},
        *replicas,
        {**status, "status": {"collisionCount": 1, "updatedReplicas": 1}},
    )
    yield from created("ReplicaSet", WORKLOAD, *shared)
    yield from updated(
        "ReplicaSet",
        WORKLOAD,
        {},
        {"spec.replicas": 3},
        {"spec.selector.matchLabels": {"app": "b"}, "spec.template.metadata.labels": {"app": "b"}},
        *replicas,
    )
    update, claims = "spec.updateStrategy", "spec.volumeClaimTemplates"
    claim = {
        "metadata": {"name": "c"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    yield from created(
        "StatefulSet", WORKLOAD, *shared, {"spec.serviceName": "s"}, {"spec.serviceName": "S_"}, {"spec.podManagementPolicy": "Parallel"}, {"spec.podManagementPolicy": "x"}, {update: {"type": "OnDelete"}}, {update: {"type": "OnDelete", "rollingUpdate": {"partition": 1}}}, {update: {"type": "x"}}, {update: {"type": "RollingUpdate"}},
        {update: {"rollingUpdate": {"partition": -1}}}, {update: {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}}, {claims: [claim]}, {claims: [varied(claim, {"spec.accessModes": []})]}, {claims: [varied(claim, {"spec.resources": {}})]}, {claims: [claim], f"{c}.volumeMounts": [{"name": "c", "mountPath": "/c"}]},
        {"spec.persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}}, {"spec.persistentVolumeClaimRetentionPolicy": {"whenDeleted": "x"}}, {"spec.ordinals": {"start": 1}}, {"spec.ordinals": {"start": -1}}, {"spec.template.spec.hostname": "A"},
    )  # fmt: skip
    yield from updated(
        "StatefulSet",
        WORKLOAD,
        {},
        {"spec.replicas": 3},
        {"spec.serviceName": "x"},
        {"spec.selector.matchLabels": {"app": "b"}, "spec.template.metadata.labels": {"app": "b"}},
        {"spec.podManagementPolicy": "Parallel"},
        {f"{c}.image": "y"},
        {"spec.minReadySeconds": 5},
        *replicas,
    )
    yield from created(
        "DaemonSet", WORKLOAD, *(s for s in shared if not {"spec.replicas", "status", "spec.selector"} & set(s)), {update: {"type": "OnDelete"}}, {update: {"type": "x"}}, {update: {"rollingUpdate": {"maxUnavailable": 0}}}, {update: {"rollingUpdate": {"maxUnavailable": "200%"}}}, {update: {"rollingUpdate": {"maxSurge": 1}}},
        {update: {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}, {"spec.selector": {}}, {"status": {"numberReady": 4}},
    )  # fmt: skip
    yield from updated(
        "DaemonSet",
        WORKLOAD,
        {},
        {f"{c}.image": "y"},
        {"spec.selector.matchLabels": {"app": "b"}, "spec.template.metadata.labels": {"app": "b"}},
        {
            **status,
            "status": {
                "currentNumberScheduled": 1,
                "numberMisscheduled": 0,
                "desiredNumberScheduled": 1,
                "numberReady": 1,
            },
        },
        {**status, "status": {"currentNumberScheduled": -1}},
    )
    yield from created(
        "ControllerRevision",
        {"revision": 1, "data": {"a": 1}},
        {"revision": -1},
        {"data": ABSENT},
        {"data": {"a": {"b": []}}},
    )
    yield from updated("ControllerRevision", {"revision": 1, "data": {"a": 1}}, {"revision": 2}, {"data": {"a": 2}})
    controller = {"spec": {"selector": LABELS, "template": TEMPLATE}}
    yield from created(
        "ReplicationController",
        controller,
        {"spec.selector": ABSENT},
        {"spec.selector": {"app": "b"}},
        {"spec.template": ABSENT},
        {"spec.replicas": -1},
        {"spec.template.spec.restartPolicy": "Never"},
        {"spec.minReadySeconds": -1},
        {f"{c}.image": ""},
        {"spec.template.metadata.labels": {}},
    )
    yield from updated("ReplicationController", controller, {}, {"spec.replicas": 3}, *replicas)
    yield from created(
        "PodTemplate",
        {"template": TEMPLATE},
        {"template.spec.containers": []},
        {"template.spec.restartPolicy": "x"},
        {"template.metadata.labels": {"a b": ""}},
    )


def _batch() -> Iterator[Exchange]:
    job = {"spec": {"template": varied(TEMPLATE, {"spec.restartPolicy": "Never"})}}
    faults: tuple[Change, ...] = (
        {"parallelism": -1}, {"completions": -1}, {"backoffLimit": -1}, {"activeDeadlineSeconds": -1}, {"ttlSecondsAfterFinished": -1}, {"completionMode": "x"}, {"completionMode": "Indexed"}, {"completionMode": "Indexed", "completions": 2}, {"template.spec.restartPolicy": "Always"}, {"template.spec.restartPolicy": "x"},
        {"template.spec.containers": []}, {"suspend": True}, {"completions": 5}, {"parallelism": 5}, {"backoffLimitPerIndex": 1}, {"completionMode": "Indexed", "completions": 2, "backoffLimitPerIndex": 1, "maxFailedIndexes": 1}, {"completionMode": "Indexed", "completions": 2, "maxFailedIndexes": 1}, {"template.metadata.labels": {"x": "y"}},
        {"podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1]}}]}}, {"podFailurePolicy": {"rules": [{"action": "x", "onPodConditions": [{"type": "DisruptionTarget"}]}]}}, {"podFailurePolicy": {"rules": [{"action": "Ignore"}]}}, {"podReplacementPolicy": "Failed"}, {"podReplacementPolicy": "x"},
    )  # fmt: skip
    yield from created(
        "Job",
        job,
        *({f"spec.{k}": v for k, v in f.items()} for f in faults),
        {"spec.manualSelector": True, "spec.selector": SELECTOR},
        {"spec.manualSelector": True, "spec.selector": {"matchLabels": {"z": "z"}}},
        {"spec.manualSelector": True},
        {"status": {"active": 1}},
    )
    yield from updated(
        "Job",
        {"spec": {**job["spec"], "manualSelector": True, "selector": SELECTOR}},
        {},
        {"spec.parallelism": 3},
        {"spec.completions": 3},
        {"spec.template.spec.containers.0.image": "y"},
        {"spec.suspend": True},
        {"spec.completionMode": "Indexed"},
        {"spec.selector": {"matchLabels": {"z": "z"}}},
        {"@": "/status", "status": {"active": 1}},
        {"@": "/status", "status": {"active": -1}},
    )
    cron = {"spec": {"schedule": "* * * * *", "jobTemplate": job}}
    schedules = (
        "",
        "x",
        "* * * *",
        "61 * * * *",
        "@daily",
        "@x",
        "*/5 1-3 * jan,feb mon",
        "*/0 * * * *",
        "5-1 * * * *",
        "TZ=UTC * * * * *",
        "@every 5m",
    )
    yield from created(
        "CronJob", cron, *({"spec.schedule": s} for s in schedules), {"spec.concurrencyPolicy": "Forbid"}, {"spec.concurrencyPolicy": "x"}, {"spec.timeZone": "Europe/Berlin"}, {"spec.timeZone": "Nowhere/X"}, {"spec.timeZone": ""}, {"spec.timeZone": "Local"}, {"spec.startingDeadlineSeconds": -1}, {"spec.successfulJobsHistoryLimit": -1},
        {"spec.failedJobsHistoryLimit": 0}, {"spec.suspend": True}, *({f"spec.jobTemplate.spec.{k}": v for k, v in f.items()} for f in faults[:12]), {"spec.jobTemplate.spec.manualSelector": True},
    )  # fmt: skip
    yield from updated(
        "CronJob",
        cron,
        {},
        {"spec.schedule": "5 * * * *"},
        {"spec.schedule": "x"},
        {"@": "/status", "status": {"lastScheduleTime": "2020-01-01T00:00:00Z"}},
    )
    yield from created("CronJob", cron, name="c" * 53)


def _services() -> Iterator[Exchange]:
    base: Change = {"spec": {"clusterIP": "None", "selector": LABELS, "ports": [{"port": 80}]}}
    p = "spec.ports.0"
    yield from created(
        "Service", base, *({f"{p}.{k}": v} for k, v in (("port", 0), ("port", 99999), ("protocol", "x"), ("protocol", "UDP"), ("targetPort", "http"), ("targetPort", "A_"), ("targetPort", 0), ("name", "A"), ("name", "http"), ("nodePort", 30001), ("appProtocol", "a b"))),
        {"spec.ports": []}, {"spec.ports.1": {"port": 81}}, {"spec.ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]}, {"spec.ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]}, {"spec.type": "x"}, {"spec.type": "NodePort"}, {"spec.type": "LoadBalancer"}, {"spec.type": "ExternalName"},
        {"spec": {"type": "ExternalName", "externalName": "a.b"}}, {"spec": {"type": "ExternalName", "externalName": "A_"}}, {"spec": {"type": "ExternalName"}}, {"spec.sessionAffinity": "ClientIP"}, {"spec.sessionAffinity": "x"}, {"spec.sessionAffinity": "ClientIP", "spec.sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}}},
        {"spec.externalIPs": ["x"]}, {"spec.externalIPs": ["1.2.3.4"]}, {"spec.selector": {"a b": "c"}}, {"spec.internalTrafficPolicy": "Local"}, {"spec.internalTrafficPolicy": "x"}, {"spec.externalTrafficPolicy": "Local"}, {"spec.clusterIP": "x"}, {"spec.publishNotReadyAddresses": True}, {"spec.healthCheckNodePort": 5},
        {"spec.loadBalancerSourceRanges": ["1.2.3.0/24"]}, {"spec.trafficDistribution": "x"}, {"spec.trafficDistribution": "PreferClose"}, {"spec.clusterIPs": ["None", "1.2.3.4"]}, {"spec.allocateLoadBalancerNodePorts": True}, {"spec.ipFamilies": ["x"]},
    )  # fmt: skip
    yield from updated(
        "Service",
        base,
        {},
        {"spec.selector": {"app": "b"}},
        {"spec.clusterIP": ABSENT},
        {f"{p}.port": 81},
        {"@": "/status", "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}},
    )
    points = {"subsets": [{"addresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 80}]}]}
    yield from created(
        "Endpoints", points, {"subsets": []}, {"subsets.0.addresses": []}, {"subsets.0.addresses.0.ip": "x"}, {"subsets.0.addresses.0.hostname": "A"}, {"subsets.0.ports.0.port": 0}, {"subsets.0.ports.0.protocol": "x"}, {"subsets.0.ports.1": {"port": 81}}, {"subsets.0.ports.0.name": "A"}, {"subsets.0.notReadyAddresses": [{"ip": "1.2.3.5"}]}
    )  # fmt: skip
    part = {"addressType": "IPv4", "endpoints": [{"addresses": ["1.2.3.4"]}], "ports": [{"port": 80}]}
    yield from created(
        "EndpointSlice", part, {"addressType": "x"}, {"addressType": ABSENT}, {"endpoints.0.addresses": []}, {"endpoints.0.addresses": ["x"]}, {"endpoints.0.addresses": ["::1"]}, {"endpoints": []}, {"ports": []}, {"ports.1": {"port": 81}}, {"ports.0.name": "A"}, {"ports.0.protocol": "x"}, {"endpoints.0.hostname": "A"}, {"endpoints.0.nodeName": "n"}, {"endpoints.0.conditions": {"ready": True}}
    )  # fmt: skip


def _networking() -> Iterator[Exchange]:
    backend = {"service": {"name": "s", "port": {"number": 80}}}
    base = {
        "spec": {
            "rules": [{"host": "a.b", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]
        }
    }
    path = "spec.rules.0.http.paths.0"
    yield from created(
        "Ingress", base, {"spec.rules": []}, {"spec": {"defaultBackend": backend}}, {"spec.rules.0.host": "A_"}, {"spec.rules.0.host": "1.2.3.4"}, {"spec.rules.0.host": "*.a.b"}, {"spec.rules.0.host": "a.*.b"}, {"spec.rules.0.http.paths": []}, {f"{path}.pathType": "x"}, {f"{path}.pathType": ABSENT}, {f"{path}.path": "x"}, {f"{path}.path": "/a//b"},
        {f"{path}.path": "/a/.."}, {f"{path}.pathType": "ImplementationSpecific", f"{path}.path": ""}, {f"{path}.backend": {}}, {f"{path}.backend.service.name": ""}, {f"{path}.backend.service.name": "A_"}, {f"{path}.backend.service.port": {}}, {f"{path}.backend.service.port": {"name": "x", "number": 5}}, {f"{path}.backend.service.port": {"number": 99999}},
        {f"{path}.backend": {"resource": {"kind": "K", "name": "n"}}}, {f"{path}.backend": {"resource": {"kind": "", "name": ""}}}, {"spec.tls": [{"hosts": ["a.b"], "secretName": "s"}]}, {"spec.tls": [{"hosts": ["A_"]}]}, {"spec.ingressClassName": "A_"}, {"spec.ingressClassName": "c"}, {"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}},
    )  # fmt: skip
    yield from updated(
        "Ingress",
        base,
        {},
        {f"{path}.path": "/x"},
        {"@": "/status", "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}},
        {"@": "/status", "status": {"loadBalancer": {"ingress": [{"ip": "x"}]}}},
    )
    yield from created(
        "IngressClass",
        {"spec": {"controller": "a.b/c"}},
        {"spec.controller": ""},
        {"spec.controller": "x"},
        {"spec.parameters": {"kind": "K", "name": "n"}},
        {"spec.parameters": {"kind": "", "name": ""}},
        {"spec.parameters": {"kind": "K", "name": "n", "scope": "Namespace"}},
        {"spec.parameters": {"kind": "K", "name": "n", "scope": "x"}},
    )
    yield from updated("IngressClass", {"spec": {"controller": "a.b/c"}}, {}, {"spec.controller": "a.b/d"})
    policy = {"spec": {"podSelector": SELECTOR}}
    yield from created(
        "NetworkPolicy", policy, {"spec": {}}, {"spec.podSelector": {"matchLabels": {"a b": "c"}}}, {"spec.egress": [{}]}, {"spec.ingress": [{"ports": [{"port": 80}]}]}, {"spec.ingress": [{"ports": [{"port": 0}]}]}, {"spec.ingress": [{"ports": [{"port": "A_"}]}]}, {"spec.ingress": [{"ports": [{"protocol": "x"}]}]},
        {"spec.ingress": [{"ports": [{"port": 80, "endPort": 70}]}]}, {"spec.ingress": [{"ports": [{"endPort": 70}]}]}, {"spec.ingress": [{"ports": [{"port": "a", "endPort": 70}]}]}, {"spec.ingress": [{"from": [{}]}]}, {"spec.ingress": [{"from": [{"podSelector": {}, "namespaceSelector": SELECTOR}]}]}, {"spec.ingress": [{"from": [{"podSelector": {}, "ipBlock": {"cidr": "1.2.3.0/24"}}]}]},
        {"spec.egress": [{"to": [{"ipBlock": {"cidr": "1.2.3.0/24", "except": ["1.2.3.4/32"]}}]}]}, {"spec.egress": [{"to": [{"ipBlock": {"cidr": "x"}}]}]}, {"spec.egress": [{"to": [{"ipBlock": {"cidr": ""}}]}]}, {"spec.policyTypes": ["Egress"]}, {"spec.policyTypes": ["x"]}, {"spec.policyTypes": ["Ingress", "Egress", "x"]},
    )  # fmt: skip
    yield from updated(
        "NetworkPolicy", policy, {}, {"spec.podSelector": {}}, {"spec.policyTypes": ["Ingress", "Egress"]}
    )


def _policies() -> Iterator[Exchange]:
    base = {"spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}}}
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
    pods = {"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "5"}}}
    yield from created(
        "HorizontalPodAutoscaler", base, {"spec.maxReplicas": 0}, {"spec.maxReplicas": -1}, {"spec.minReplicas": 0}, {"spec.minReplicas": 5}, {"spec.scaleTargetRef.name": ""}, {"spec.scaleTargetRef.kind": ""}, {"spec.scaleTargetRef.name": ".."}, {"spec.metrics": [cpu]}, {"spec.metrics": [cpu, pods]}, {"spec.metrics": [{"type": "x"}]},
        {"spec.metrics": [{"type": "Resource"}]}, {"spec.metrics": [{**cpu, **pods, "type": "Pods"}]}, {"spec.metrics": [varied(cpu, {"resource.target.averageUtilization": 0})]}, {"spec.metrics": [varied(cpu, {"resource.name": ""})]}, {"spec.metrics": [varied(pods, {"pods.metric.name": ""})]}, {"spec.metrics": [varied(pods, {"pods.target": {"type": "x"}})]},
        {"spec.behavior": {}}, {"spec.behavior": {"scaleUp": {"stabilizationWindowSeconds": 5}}}, {"spec.behavior": {"scaleDown": {"stabilizationWindowSeconds": -1}}}, {"spec.behavior": {"scaleDown": {"selectPolicy": "x"}}}, {"spec.behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 0, "periodSeconds": 0}]}}}, {"status": {"desiredReplicas": 3}},
    )  # fmt: skip
    yield from updated(
        "HorizontalPodAutoscaler",
        base,
        {},
        {"spec.maxReplicas": 5},
        {"spec.maxReplicas": 0},
        {"@": "/status", "status": {"desiredReplicas": 3, "currentReplicas": 1}},
    )
    budget = {"spec": {"minAvailable": 1, "selector": SELECTOR}}
    yield from created(
        "PodDisruptionBudget",
        budget,
        {"spec.maxUnavailable": 1},
        {"spec.minAvailable": "50%"},
        {"spec.minAvailable": "150%"},
        {"spec.minAvailable": -1},
        {"spec.minAvailable": "x"},
        {"spec": {}},
        {"spec.selector": {"matchLabels": {"a b": "c"}}},
        {"spec.unhealthyPodEvictionPolicy": "x"},
        {"spec.unhealthyPodEvictionPolicy": "AlwaysAllow"},
    )
    yield from updated(
        "PodDisruptionBudget",
        budget,
        {},
        {"spec.minAvailable": 2},
        {
            "@": "/status",
            "status": {"disruptionsAllowed": 1, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1},
        },
        {
            "@": "/status",
            "status": {"disruptionsAllowed": -1, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1},
        },
    )


def _storage() -> Iterator[Exchange]:
    claim = {
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "s",
        }
    }
    yield from created(
        "PersistentVolumeClaim", claim, {"spec.accessModes": []}, {"spec.accessModes": ["x"]}, {"spec.accessModes": ["ReadWriteOncePod", "ReadWriteOnce"]}, {"spec.resources": {}}, {"spec.resources.requests.storage": "0"}, {"spec.storageClassName": "A_"}, {"spec.storageClassName": ""}, {"spec.volumeMode": "Block"}, {"spec.volumeMode": "x"},
        {"spec.dataSource": {"kind": "PersistentVolumeClaim", "name": "x"}}, {"spec.dataSource": {"kind": "", "name": ""}}, {"spec.dataSource": {"kind": "Y", "name": "x"}}, {"spec.selector": SELECTOR}, {"spec.selector": {"matchLabels": {"a b": "c"}}}, {"spec.volumeName": "v"}, {"status": {"phase": "Bound"}},
    )  # fmt: skip
    yield from updated(
        "PersistentVolumeClaim",
        claim,
        {},
        {"spec.volumeName": "v"},
        {"spec.accessModes": ["ReadOnlyMany"]},
        {"spec.resources.requests.storage": "2Gi"},
        {"spec.resources.requests.storage": "1Mi"},
        {
            "@": "/status",
            "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]},
        },
    )
    volume = {"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}}
    yield from created(
        "PersistentVolume", volume, {"spec.capacity": {}}, {"spec.capacity": {"x": "1"}}, {"spec.capacity.storage": "0"}, {"spec.accessModes": []}, {"spec.accessModes": ["x"]}, {"spec.hostPath": ABSENT}, {"spec.nfs": {"server": "s", "path": "/p"}}, {"spec.hostPath.path": ""}, {"spec.persistentVolumeReclaimPolicy": "x"}, {"spec.persistentVolumeReclaimPolicy": "Delete"},
        {"spec.storageClassName": "A_"}, {"spec.volumeMode": "x"}, {"spec.claimRef": {"name": "c", "namespace": "d"}}, {"spec": {**volume["spec"], "hostPath": None, "csi": {"driver": "a.b", "volumeHandle": "h"}}}, {"spec": {**volume["spec"], "hostPath": None, "csi": {"driver": "", "volumeHandle": ""}}}, {"spec": {**volume["spec"], "hostPath": None, "local": {"path": "/l"}}},
    )  # fmt: skip
    yield from updated(
        "PersistentVolume",
        volume,
        {},
        {"spec.hostPath.path": "/y"},
        {"spec.persistentVolumeReclaimPolicy": "Delete"},
        {"spec.capacity.storage": "2Gi"},
        {"@": "/status", "status": {"phase": "Available"}},
    )
    yield from created(
        "StorageClass",
        {"provisioner": "a.b/c"},
        {"provisioner": ""},
        {"provisioner": "a b"},
        {"reclaimPolicy": "Retain"},
        {"reclaimPolicy": "x"},
        {"volumeBindingMode": "x"},
        {"parameters": {"": "x"}},
        {"parameters": {"a": "b"}},
        {"allowVolumeExpansion": True},
    )
    yield from updated(
        "StorageClass",
        {"provisioner": "a.b/c"},
        {},
        {"provisioner": "a.b/d"},
        {"parameters": {"a": "b"}},
        {"reclaimPolicy": "Retain"},
        {"volumeBindingMode": "WaitForFirstConsumer"},
    )
    yield from created(
        "CSIDriver",
        {"spec": {}},
        {"spec.attachRequired": False},
        {"spec.fsGroupPolicy": "x"},
        {"spec.volumeLifecycleModes": ["Ephemeral"]},
        {"spec.volumeLifecycleModes": ["x"]},
    )
    yield from created(
        "CSINode",
        {"spec": {"drivers": []}},
        {"spec.drivers": [{"name": "a", "nodeID": "n", "topologyKeys": None}]},
        {"spec.drivers": [{"name": "", "nodeID": ""}]},
    )


def _cluster() -> Iterator[Exchange]:
    yield from created(
        "Node",
        {},
        {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}},
        {"spec": {"taints": [{"key": "a b", "effect": "x"}]}},
        {"spec": {"podCIDR": "1.2.3.0/24"}},
        {"spec": {"podCIDR": "x"}},
        {"status": {"capacity": {"cpu": "1"}}},
        {"status": {"capacity": {"cpu": "-1"}}},
        {"spec": {"unschedulable": True}},
    )
    yield from updated(
        "Node",
        {},
        {"spec": {"podCIDR": "1.2.3.0/24"}},
        {"spec": {"providerID": "x"}},
        {"@": "/status", "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
    )
    yield from created(
        "PriorityClass",
        {"value": 5},
        {"value": 2000000000},
        {"preemptionPolicy": "Never"},
        {"preemptionPolicy": "x"},
        {"description": "x"},
    )
    yield from updated(
        "PriorityClass", {"value": 5}, {}, {"value": 6}, {"description": "x"}, {"preemptionPolicy": "Never"}
    )
    yield from created("PriorityClass", {"value": 5}, name="system-x")
    yield from created(
        "RuntimeClass",
        {"handler": "h"},
        {"handler": ""},
        {"handler": "A_"},
        {"overhead": {"podFixed": {"cpu": "1"}}},
        {"scheduling": {"nodeSelector": {"a": "b"}}},
        {"scheduling": {"nodeSelector": {"a b": "b"}}},
    )
    yield from updated("RuntimeClass", {"handler": "h"}, {}, {"handler": "i"})
    user = {"kind": "User", "user": {"name": "u"}}
    rule = {
        "subjects": [user],
        "resourceRules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["*"]}],
    }
    flow = {"spec": {"priorityLevelConfiguration": {"name": "x"}, "rules": [rule]}}
    yield from created(
        "FlowSchema",
        flow,
        {"spec.matchingPrecedence": -1},
        {"spec.matchingPrecedence": 1},
        {"spec.matchingPrecedence": 99999},
        {"spec.priorityLevelConfiguration": {"name": ""}},
        {"spec.distinguisherMethod": {"type": "ByUser"}},
        {"spec.distinguisherMethod": {"type": "x"}},
        {"spec.rules.0.subjects": []},
        {"spec.rules.0.resourceRules": []},
        {"spec.rules.0.subjects": [{"kind": "x"}]},
    )
    level = {"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}}
    yield from created(
        "PriorityLevelConfiguration",
        level,
        {"spec.type": "x"},
        {"spec.type": "Exempt"},
        {"spec.limited.limitResponse": {"type": "Queue", "queuing": {}}},
        {"spec.limited.limitResponse": {"type": "Queue"}},
        {"spec.limited.nominalConcurrencyShares": 5},
        {"spec": {"type": "Limited"}},
    )
    hook = {
        "name": "a.b.c",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "clientConfig": {"url": "https://x/y"},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}],
    }
    w = "webhooks.0"
    changes: tuple[Change, ...] = (
        {f"{w}.name": "a"}, {f"{w}.name": ""}, {f"{w}.admissionReviewVersions": []}, {f"{w}.admissionReviewVersions": ["x"]}, {f"{w}.sideEffects": ABSENT}, {f"{w}.sideEffects": "Some"}, {f"{w}.clientConfig": {}}, {f"{w}.clientConfig": {"url": "http://x"}}, {f"{w}.clientConfig": {"service": {"name": "s", "namespace": "n"}}}, {f"{w}.failurePolicy": "x"},
        {f"{w}.matchPolicy": "Exact"}, {f"{w}.timeoutSeconds": 31}, {f"{w}.rules.0.operations": ["x"]}, {f"{w}.rules.0.apiGroups": []}, {f"{w}.rules.0.scope": "x"}, {f"{w}.rules.0.resources": []}, {"webhooks": []}, {"webhooks.1": hook}, {f"{w}.namespaceSelector": SELECTOR},
    )  # fmt: skip
    for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"):
        yield from created(kind, {"webhooks": [hook]}, *changes)
    yield from created(
        "ResourceClaim",
        {"spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}}},
        {"spec": {}},
        {"spec.devices.requests.0.exactly.allocationMode": "All"},
    )


def workload_kinds() -> list[Exchange]:
    """All rows, each with an id of its own."""
    parts = (_containers, _volumes, _pods, _apps, _batch, _services, _networking, _policies, _storage, _cluster)
    return [row._replace(id=f"{part.__name__[1:]} {n}: {row.id}") for part in parts for n, row in enumerate(part())]
