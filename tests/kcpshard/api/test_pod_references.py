"""Wherever in an object a pod's spec is."""

from typing import Any

import pytest

from kcpshard.api.pod_references import Reference, references

POD = {
    "serviceAccountName": "robot",
    "imagePullSecrets": [{"name": "pull"}],
    "volumes": [
        {"secret": {"secretName": "s"}},
        {"configMap": {"name": "c"}},
        {"projected": {"sources": [{"secret": {"name": "ps"}}, {"configMap": {"name": "kube-root-ca.crt"}}]}},
    ],
    "initContainers": [{"envFrom": [{"configMapRef": {"name": "ic"}}]}],
    "containers": [
        {
            "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "es", "key": "k"}}}],
            "envFrom": [{"secretRef": {"name": "ef"}}],
        }
    ],
}
NAMES = {"pull", "s", "c", "ps", "ic", "es", "ef", "robot"}


@pytest.mark.parametrize(
    "obj",
    [
        {"kind": "Pod", "spec": POD},
        {"kind": "Deployment", "spec": {"template": {"spec": POD}}},
        {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": POD}}}}},
    ],
    ids=["pod", "template", "job template"],
)
def test_what_pods_need(obj: dict[str, Any]) -> None:
    found = references(obj)
    assert {reference.name for reference in found} == NAMES
    assert Reference("serviceaccounts", "ServiceAccount", "robot") in found


def test_nothing_is_needed_by_what_has_no_pods() -> None:
    assert references({"kind": "ConfigMap", "data": {}}) == set()
    assert references({"kind": "Pod", "spec": {"serviceAccountName": "default", "containers": []}}) == set()
