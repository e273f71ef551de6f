# ruff: noqa: E501 - a table: one row per fact is worth long lines
"""Write tests/golden/rows.jsonl: the rows that a real kube-apiserver shows of objects of every kind that has a printer.

    python -m tests.differential.record_rows KUBECONFIG      (a cluster with static token, controllers off)

One line: group, resource, columns (name, type, format, priority), the object, its cells and the row's conditions.
"""

import json
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.differential.autoscalers import BEHAVIORS, METRICS, STATUS
from tests.differential.compare import RealServer, filled
from tests.differential.exchanges import MERGE, Exchange
from tests.differential.workload_kinds import PLACES, SELECTOR, TEMPLATE

RECORD = Path(__file__).parents[1] / "golden" / "rows.jsonl"
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
POLICIES = "/apis/admissionregistration.k8s.io/v1"
DEVICES = "/apis/resource.k8s.io/v1"
NETWORK = "/apis/networking.k8s.io/v1"
TIME = "2026-01-01T00:00:00Z"


def objects() -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Where to create, what, and the status it gets then."""
    for kind, rows in {
        **_pods(), **_workloads(), **_services(), **_volumes(), **_cluster(),
    }.items():  # fmt: skip
        url = PLACES[kind][1] if kind in PLACES else kind
        for place, row in enumerate(rows):
            status = row.pop("status", None)
            meta = {"name": row.pop("name", f"{{ns}}-r{place}"), **row.pop("metadata", {})}
            yield url, {"metadata": meta, **row}, status


def _pods() -> dict[str, list[Any]]:
    spec: dict[str, Any] = {
        "containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}],
        "automountServiceAccountToken": False,
    }
    sidecar = {"name": "s", "image": "x", "restartPolicy": "Always"}
    init = {**spec, "initContainers": [{"name": "i", "image": "x"}, {"name": "j", "image": "x"}, sidecar]}

    def container(name: str, state: Any = None, **more: Any) -> Any:
        return {
            "name": name,
            "image": "x",
            "imageID": "",
            "state": state or {},
            "ready": False,
            "restartCount": 0,
            **more,
        }

    running = {"running": {"startedAt": TIME}}
    ended = {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": TIME}}
    again = {"lastState": {"terminated": {"exitCode": 1, "finishedAt": TIME}}, "restartCount": 3}
    ready = {"type": "Ready", "status": "True"}

    def failed(**how: Any) -> Any:
        return {"terminated": {"exitCode": 2, "finishedAt": TIME, **how}}

    def status(*containers: Any, phase: str = "Running", **more: Any) -> Any:
        return {"phase": phase, "containerStatuses": list(containers), **more}

    statuses = [
        status(container("a", running, ready=True), container("b", running, ready=True), conditions=[ready], podIPs=[{"ip": "10.0.0.1"}], podIP="10.0.0.1"),
        status(container("a", running, ready=True, **again), container("b", {"waiting": {"reason": "CrashLoopBackOff"}}, **again)),
        status(container("a", ended), container("b", running, ready=True), conditions=[ready]), status(container("a", ended), container("b", running, ready=True)), status(container("a", failed()), container("b", ended)),
        status(container("a", failed(signal=9)), container("b", {"waiting": {}})), status(container("a", failed(reason="Error")), container("b", failed(reason="OOMKilled")), phase="Failed"), status(container("a", ended), container("b", ended), phase="Succeeded"),
        {"phase": "Failed", "reason": "Evicted"}, {"phase": "Pending", "nominatedNodeName": "n2"}, {"phase": "Unknown", "reason": "NodeLost"},
    ]  # fmt: skip
    inits = [
        [container("i", running), container("j")], [container("i", ended), container("j", failed())], [container("i", ended), container("j", failed(reason="Error"), **again)], [container("i", {"waiting": {"reason": "ImagePullBackOff"}})],
        [container("i", {"waiting": {"reason": "PodInitializing"}}), container("j")], [container("i", ended), container("j", ended), container("s", running, ready=True, started=True, **again)],
    ]  # fmt: skip
    found = [
        {"name": f"p{n}", "spec": {**spec, **({} if s["phase"] == "Pending" else {"nodeName": "n1"})}, "status": s}
        for n, s in enumerate(statuses)
    ]
    found += [
        {"name": f"i{n}", "spec": init, "status": {"phase": "Pending", "initContainerStatuses": s}}
        for n, s in enumerate(inits)
    ]
    found += [
        {"name": "none", "spec": spec}, {"name": "gated", "spec": {**spec, "schedulingGates": [{"name": "g"}]}}, {"name": "gates", "spec": {**spec, "readinessGates": [{"conditionType": "x"}, {"conditionType": "y"}]}, "status": {"conditions": [{"type": "x", "status": "True"}]}},
        {"name": "going", "metadata": {"finalizers": ["a/b"]}, "spec": spec},
    ]  # fmt: skip
    return {"Pod": found}


def _workloads() -> dict[str, list[Any]]:
    spec = {"selector": SELECTOR, "template": TEMPLATE}
    two = {
        **TEMPLATE,
        "spec": {
            "containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y:1"}],
            "nodeSelector": {"z": "1", "a": "b"},
        },
    }
    odd = {
        **spec,
        "selector": {"matchLabels": {"app": "a"}, "matchExpressions": [{"key": "z", "operator": "DoesNotExist"}]},
        "template": two,
    }
    once = {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "x"}]}}
    counts = {"replicas": 3, "readyReplicas": 2, "availableReplicas": 1, "updatedReplicas": 3}
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "s", "uid": "u", "controller": True}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    started = {
        "startTime": TIME,
        "succeeded": 1,
        "completionTime": "2026-01-01T00:01:30Z",
        "conditions": [{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"}],
    }
    hpas = [
        {"spec": {"scaleTargetRef": target, "maxReplicas": 5, "metrics": m}, "status": s}
        for m in METRICS.values()
        for s in (None, STATUS)
    ]
    return {
        "Deployment": [{"spec": spec}, {"spec": {**odd, "replicas": 3}, "status": counts}], "ReplicaSet": [{"spec": spec}, {"spec": odd, "status": {**counts, "updatedReplicas": None}}],
        "StatefulSet": [{"spec": {**spec, "serviceName": "x"}, "status": {"replicas": 1, "readyReplicas": 1}}], "ReplicationController": [{"spec": {"template": TEMPLATE}}], "PodTemplate": [{"template": two}, {"template": {"spec": once["spec"]}}],
        "DaemonSet": [{"spec": spec}, {"spec": odd, "status": {"desiredNumberScheduled": 3, "currentNumberScheduled": 3, "numberMisscheduled": 0, "numberReady": 2, "updatedNumberScheduled": 1, "numberAvailable": 2}}],
        "Job": [{"spec": {"template": once}}, {"spec": {"template": once, "completions": 3, "parallelism": 2}}, {"spec": {"template": once, "parallelism": 2}}, {"spec": {"template": once, "suspend": True}}, {"spec": {"template": once}, "status": started}],
        "CronJob": [{"name": "c1", "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": once}}}}, {"name": "c2", "spec": {"schedule": "@daily", "timeZone": "UTC", "suspend": True, "jobTemplate": {"spec": {"template": once}}}, "status": {"lastScheduleTime": TIME, "active": [{"name": "x"}]}}],
        "ControllerRevision": [{"revision": 1, "data": {"a": 1}}, {"revision": 2, "data": {"a": 1}, "metadata": {"ownerReferences": [owner]}}],
        "PodDisruptionBudget": [{"spec": {"minAvailable": 1}}, {"spec": {"maxUnavailable": "50%"}, "status": {"disruptionsAllowed": 2, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 2}}, {"spec": {}}],
        "HorizontalPodAutoscaler": [*hpas, {"spec": {"scaleTargetRef": target, "maxReplicas": 5, "behavior": BEHAVIORS["up"]}}],
    }  # fmt: skip


def _services() -> dict[str, list[Any]]:
    ports = [{"port": 80, "name": "a"}, {"port": 53, "protocol": "UDP", "name": "b"}]
    backend = {"service": {"name": "x", "port": {"number": 80}}}
    rules = [
        {"host": f"{n}.example.org", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
        for n in "abcd"
    ]
    addresses = [{"ip": f"10.0.0.{n}"} for n in range(1, 6)]
    balanced = {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}, {"hostname": "x.example.org"}]}}
    return {
        "Service": [{"spec": {"ports": ports, "selector": {"b": "c", "a": "b"}}}, {"spec": {"ports": ports[:1], "clusterIP": "None"}}, {"spec": {"type": "ExternalName", "externalName": "example.org"}}, {"spec": {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30991}]}}, {"spec": {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30992}], "externalIPs": ["9.9.9.9"]}, "status": balanced}, {"spec": {"ports": ports, "externalIPs": ["8.8.8.8", "9.9.9.9"]}}],
        "Endpoints": [{}, {"subsets": [{"addresses": addresses[:1], "ports": [{"port": 80}]}]}, {"subsets": [{"addresses": addresses, "ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]}]}, {"subsets": [{"addresses": addresses[:2]}]}, {"subsets": [{"addresses": [{"ip": "fd00::1"}], "ports": [{"port": 80}]}]}],
        "EndpointSlice": [{"addressType": "IPv4", "endpoints": []}, {"addressType": "IPv4", "endpoints": [{"addresses": [a["ip"]]} for a in addresses], "ports": [{"port": p, "name": f"p{p}"} for p in range(80, 85)]}, {"addressType": "FQDN", "endpoints": [{"addresses": ["example.org"]}], "ports": [{"name": "x"}]}],
        "Ingress": [{"spec": {"defaultBackend": backend}}, {"spec": {"rules": rules[:2], "ingressClassName": "c", "tls": [{"hosts": ["a.example.org"]}]}, "status": balanced}, {"spec": {"rules": rules}}],
        "IngressClass": [{"spec": {"controller": "example.org/x"}}, {"spec": {"controller": "example.org/x", "parameters": {"apiGroup": "g.org", "kind": "K", "name": "n", "scope": "Cluster"}}, "metadata": {"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}}],
        "NetworkPolicy": [{"spec": {"podSelector": {}}}, {"spec": {"podSelector": SELECTOR}}],
        f"{NETWORK}/ipaddresses": [{"name": "192.168.7.7", "spec": {"parentRef": {"group": "", "resource": "services", "namespace": "a", "name": "b"}}}, {"name": "192.168.7.8", "spec": {"parentRef": {"group": "g.org", "resource": "things", "name": "b"}}}],
        f"{NETWORK}/servicecidrs": [{"spec": {"cidrs": ["192.168.8.0/24"]}}],
    }  # fmt: skip


def _volumes() -> dict[str, list[Any]]:
    claim = {"accessModes": ["ReadWriteOnce", "ReadOnlyMany"], "resources": {"requests": {"storage": "1Gi"}}}
    source = {"capacity": {"storage": "5Gi"}, "accessModes": ["ReadWriteMany"], "hostPath": {"path": "/x"}}
    return {
        "PersistentVolumeClaim": [{"spec": claim}, {"spec": {**claim, "volumeName": "v", "storageClassName": "c", "volumeMode": "Block"}, "status": {"phase": "Bound", "capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"]}}, {"spec": claim, "metadata": {"annotations": {"volume.beta.kubernetes.io/storage-class": "old"}}}],
        "PersistentVolume": [{"spec": source}, {"spec": {**source, "claimRef": {"namespace": "a", "name": "b"}, "storageClassName": "c"}, "status": {"phase": "Failed", "reason": "Why"}}],
        "StorageClass": [{"provisioner": "example.org/x"}, {"provisioner": "example.org/x", "allowVolumeExpansion": True, "volumeBindingMode": "WaitForFirstConsumer", "reclaimPolicy": "Retain", "metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}],
        "CSIDriver": [{"spec": {}}, {"spec": {"attachRequired": False, "podInfoOnMount": True, "tokenRequests": [{"audience": "a"}, {"audience": "b"}], "requiresRepublish": True, "volumeLifecycleModes": ["Ephemeral"]}}],
        "CSINode": [{"spec": {"drivers": [{"name": "d", "nodeID": "n", "topologyKeys": []}]}}],
        "/apis/storage.k8s.io/v1/volumeattachments": [{"spec": {"attacher": "a", "nodeName": "n", "source": {"persistentVolumeName": "p"}}, "status": {"attached": True}}],
        "/apis/storage.k8s.io/v1/volumeattributesclasses": [{"driverName": "d", "parameters": {"a": "b"}}],
    }  # fmt: skip


def _cluster() -> dict[str, list[Any]]:
    info = {
        "kubeletVersion": "v1",
        "osImage": "Linux",
        "kernelVersion": "6",
        "architecture": "amd64",
        "containerRuntimeVersion": "c://1",
    }
    node = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "10.1.1.1"}, {"type": "ExternalIP", "address": "1.1.1.1"}],
        "nodeInfo": info,
    }
    constraints = {
        "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}]
    }
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    policy = {"matchConstraints": constraints, "validations": [{"expression": "true"}]}
    mutation = {
        "matchConstraints": constraints,
        "reinvocationPolicy": "Never",
        "mutations": [
            {
                "patchType": "JSONPatch",
                "jsonPatch": {"expression": '[JSONPatch{op: "add", path: "/metadata/labels/x", value: "y"}]'},
            }
        ],
    }
    hook = {
        "name": "a.example.org",
        "clientConfig": {"url": "https://example.org"},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    limited = {
        "type": "Limited",
        "limited": {
            "nominalConcurrencyShares": 5,
            "limitResponse": {"type": "Queue", "queuing": {"queues": 4, "handSize": 2, "queueLengthLimit": 3}},
        },
    }
    return {
        "Node": [{}, {"metadata": {"labels": {"node-role.kubernetes.io/b": "", "node-role.kubernetes.io/a": "", "kubernetes.io/role": "c"}}, "spec": {"unschedulable": True}, "status": node}, {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}],
        "PriorityClass": [{"value": 5}, {"value": -3, "preemptionPolicy": "Never"}], "RuntimeClass": [{"handler": "h"}],
        "FlowSchema": [{"spec": {"priorityLevelConfiguration": {"name": "workload-low"}, "matchingPrecedence": 7}}, {"spec": {"priorityLevelConfiguration": {"name": "x"}, "distinguisherMethod": {"type": "ByUser"}}}],
        "PriorityLevelConfiguration": [{"spec": limited}, {"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}}],
        "ValidatingWebhookConfiguration": [{}, {"webhooks": [hook]}], "MutatingWebhookConfiguration": [{}, {"webhooks": [hook]}],
        f"{POLICIES}/validatingadmissionpolicies": [{"spec": policy}, {"spec": {**policy, "paramKind": kind}}], f"{POLICIES}/mutatingadmissionpolicies": [{"spec": mutation}],
        f"{POLICIES}/validatingadmissionpolicybindings": [{"spec": {"policyName": "p", "validationActions": ["Deny"]}}, {"spec": {"policyName": "p", "validationActions": ["Deny"], "paramRef": {"name": "n", "parameterNotFoundAction": "Allow"}}}, {"spec": {"policyName": "p", "validationActions": ["Deny"], "paramRef": {"name": "n", "namespace": "m", "parameterNotFoundAction": "Allow"}}}],
        f"{POLICIES}/mutatingadmissionpolicybindings": [{"spec": {"policyName": "p"}}],
        f"{DEVICES}/deviceclasses": [{"spec": {}}], f"{DEVICES}/namespaces/{{ns}}/resourceclaims": [{"spec": {}}], f"{DEVICES}/namespaces/{{ns}}/resourceclaimtemplates": [{"spec": {"spec": {}}}],
        f"{DEVICES}/resourceslices": [{"spec": {"nodeName": "n", "driver": "d.example.org", "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1}, "devices": [{"name": "x"}]}}],
    }  # fmt: skip


def main(kubeconfig: str) -> None:
    server, namespace, lines = RealServer(kubeconfig), "rows-" + secrets.token_hex(3), []
    server.ask(Exchange("", "POST", "/api/v1/namespaces", {"metadata": {"name": namespace}}))
    server.ask(
        Exchange("", "POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default"}})
    )
    for url, obj, status in objects():
        url, obj = filled(url, namespace, {}), filled(obj, namespace, {})
        code, made, _ = server.ask(Exchange("", "POST", url, obj))
        if code != 201:
            print(f"not made: {url} {made.get('message')}")
            continue
        place = f"{url}/{obj['metadata']['name']}"
        if status:
            code, made, _ = server.ask(Exchange("", "PATCH", f"{place}/status", {"status": status}, MERGE))
            if code != 200:
                print(f"no status: {place} {made.get('message')}")
        if obj["metadata"].get("finalizers"):
            server.ask(Exchange("", "DELETE", place))
        lines.append(json.dumps(_row(server, place), separators=(",", ":")))
        server.ask(Exchange("", "DELETE", place))
    RECORD.write_text("\n".join(lines) + "\n")
    print(f"{len(lines)} rows")


def _row(server: RealServer, place: str) -> dict[str, Any]:
    _, table, _ = server.ask(Exchange("", "GET", f"{place}?includeObject=Object"), TABLE)
    row = table["rows"][0]
    obj = row["object"]
    obj["metadata"].pop("managedFields", None)
    parts = place.strip("/").split("/")
    group = "" if parts[0] == "api" else parts[1]
    columns = [[c["name"], c["type"], c["format"], c["priority"]] for c in table["columnDefinitions"]]
    found = {"group": group, "resource": parts[-2], "columns": columns, "object": obj, "cells": row["cells"]}
    return found | ({"conditions": row["conditions"]} if row.get("conditions") else {})


if __name__ == "__main__":
    main(sys.argv[1])
