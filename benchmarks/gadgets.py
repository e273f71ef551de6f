"""The custom type of the benchmarks: what an operator's types have, in objects about as large as the ConfigMaps."""

import json
import time
from typing import Any

from benchmarks.target import Target

GROUP, VERSION, PLURAL, KIND = "bench.example.com", "v1", "gadgets", "Gadget"
API_VERSION = f"{GROUP}/{VERSION}"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_PAD = "x" * 700


def definition() -> dict[str, Any]:
    text = {"type": "string", "maxLength": 2000}
    part = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": text, "weight": {"type": "integer", "minimum": 0, "default": 1}},
    }
    spec = {
        "type": "object",
        "required": ["value"],
        "properties": {
            "value": text,
            "pad": text,
            "replicas": {"type": "integer", "format": "int32", "minimum": 0, "maximum": 1000, "default": 1},
            "policy": {"type": "string", "enum": ["Always", "Never"], "default": "Always"},
            "labels": {"type": "object", "additionalProperties": text},
            "parts": {
                "type": "array",
                "maxItems": 16,
                "items": part,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
        },
        "x-kubernetes-validations": [{"rule": "self.replicas <= 500 || self.policy == 'Always'"}],
    }
    status = {"type": "object", "properties": {"ready": {"type": "integer"}}}
    schema = {"type": "object", "properties": {"spec": spec, "status": status}}
    version = {
        "name": VERSION, "served": True, "storage": True, "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema},
    }  # fmt: skip
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": PLURAL, "kind": KIND},
            "versions": [version],
        },
    }


def document(name: str, value: str) -> dict[str, Any]:
    parts = [{"name": "a", "weight": 3}, {"name": "b"}]
    spec = {"value": value, "pad": _PAD, "replicas": 2, "labels": {"a": "b", "c": "d"}, "parts": parts}
    meta = {"name": name, "labels": {"bench": "yes"}}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": meta, "spec": spec}


def define(target: Target, tenants: list[tuple[str, str]]) -> None:
    """The type, in each logical cluster of these or in the one cluster; ready to be used. Raises RuntimeError."""
    prefixes = dict.fromkeys(prefix for prefix, _ in tenants)
    for prefix in prefixes:
        code, answer = target.request("POST", prefix + _CRDS, definition())
        if code not in (201, 409):
            raise RuntimeError(f"{target.name}: {answer}")
    for prefix in prefixes:
        deadline = time.monotonic() + 30
        while target.request("GET", f"{prefix}/apis/{API_VERSION}/{PLURAL}?limit=1")[0] != 200:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{target.name}: {PLURAL} are not served")
            time.sleep(0.02)


def encoded(name: str, value: str) -> bytes:
    return json.dumps(document(name, value)).encode()
