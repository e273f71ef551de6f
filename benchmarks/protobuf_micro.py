"""What protobuf costs a front: JSON text to protobuf and back, in microseconds of CPU, the best of several rounds.

    .venv/bin/python -m benchmarks.protobuf_micro

Goals: 40 µs for a ConfigMap of 1 kB, 150 µs for a Pod, each way. A list or watch costs as much per object.
"""

import time
from collections.abc import Callable
from typing import Any

import orjson

from kcpfront.protobuf.objects import encode_object, to_json

_METADATA = {
    "resourceVersion": "1795474577123456001", "name": "web", "namespace": "default",
    "labels": {"app": "web", "tier": "x"}, "uid": "58d25791-5bd4-4e1d-aacb-2f541673248e",
    "creationTimestamp": "2026-11-23T22:58:57Z",
    "managedFields": [{
        "manager": "kubectl", "operation": "Update", "apiVersion": "v1", "time": "2026-11-23T22:58:57Z",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {".": {}, "f:k0": {}, "f:k1": {}}},
    }],
}  # fmt: skip
_PROBE = {"httpGet": {"path": "/healthz", "port": 80, "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 5}
_CONTAINER = {
    "name": "web", "image": "nginx:1.27", "imagePullPolicy": "Always", "terminationMessagePath": "/dev/termination-log",
    "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"}, {"containerPort": 443, "protocol": "TCP"}],
    "env": [{"name": "A", "value": "b"}, {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
    "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
    "volumeMounts": [{"name": "c", "mountPath": "/c"}, {"name": "d", "mountPath": "/d", "readOnly": True}],
    "livenessProbe": _PROBE, "readinessProbe": _PROBE,
}  # fmt: skip
_CONDITIONS = [
    {"type": type_, "status": "True", "lastTransitionTime": "2026-11-23T22:58:57Z"}
    for type_ in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
]
OBJECTS: dict[str, dict[str, Any]] = {
    "ConfigMap": {
        "kind": "ConfigMap", "apiVersion": "v1", "metadata": _METADATA, "data": {f"k{n}": "v" * 100 for n in range(5)}
    },
    "Pod": {
        "kind": "Pod", "apiVersion": "v1", "metadata": _METADATA,
        "spec": {
            "containers": [_CONTAINER, _CONTAINER], "nodeName": "node-1", "restartPolicy": "Always",
            "serviceAccountName": "default", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
            "volumes": [{"name": "c", "configMap": {"name": "a", "defaultMode": 420}}, {"name": "d", "emptyDir": {}}],
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300}],
        },
        "status": {"phase": "Running", "conditions": _CONDITIONS, "podIP": "10.0.0.7", "qosClass": "Burstable"},
    },
}  # fmt: skip


def cost_us(function: Callable[[], object], rounds: int = 7, times: int = 1000) -> float:
    found = []
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(times):
            function()
        found.append((time.process_time() - began) / times * 1e6)
    return min(found)


def main() -> None:
    print(f"{'':12}{'JSON':>8}{'protobuf':>10}{'encode':>10}{'decode':>10}")
    for name, obj in OBJECTS.items():
        text, data = orjson.dumps(obj), encode_object(obj)
        assert orjson.loads(to_json(data, None)) == obj
        encode, decode = (
            cost_us(lambda t=text: encode_object(orjson.loads(t))),
            cost_us(lambda d=data: to_json(d, None)),
        )
        print(f"{name:12}{len(text):>6} B{len(data):>8} B{encode:>7.1f} µs{decode:>7.1f} µs")


if __name__ == "__main__":
    main()
