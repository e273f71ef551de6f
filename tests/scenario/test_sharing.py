"""Types shared between logical clusters, and reads over many of them, by kubectl alone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.scenario.conftest import Kubectl

SCHEMA = """
apiVersion: apis.kcp.io/v1alpha1
kind: APIResourceSchema
metadata: {name: v1.widgets.example.dev}
spec:
  group: example.dev
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList, shortNames: [wd]}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      type: object
      properties:
        spec:
          type: object
          description: What is wanted of a widget.
          properties: {size: {type: integer, maximum: 5}}
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
---
apiVersion: apis.kcp.io/v1alpha2
kind: APIExport
metadata: {name: widgets}
spec:
  resources:
  - {name: widgets, group: example.dev, schema: v1.widgets.example.dev, storage: {crd: {}}}
  permissionClaims:
  - {group: "", resource: configmaps, verbs: ["*"]}
"""
BINDING = """
apiVersion: apis.kcp.io/v1alpha2
kind: APIBinding
metadata: {name: widgets}
spec:
  reference: {export: {path: EXPORTER, name: widgets}}
  permissionClaims:
  - {group: "", resource: configmaps, verbs: ["*"], state: Accepted, selector: {matchAll: true}}
"""
WIDGET = """
apiVersion: example.dev/v1
kind: Widget
metadata: {name: w, namespace: default}
spec: {size: SIZE}
"""
At = Callable[..., str]


@pytest.fixture(scope="module")
def server(kubeconfig: Path) -> tuple[str, str]:
    """The fronts, and what every logical cluster of this module is called first."""
    document = yaml.safe_load(kubeconfig.read_text())
    url = document["clusters"][0]["cluster"]["server"]
    base, _, path = url.partition("/clusters/")
    return base, path.partition("root")[0] + "sharing-"


@pytest.fixture(scope="module")
def at(kubectl: Kubectl, server: tuple[str, str]) -> At:
    """kubectl in a logical cluster of this module, or below another prefix of the server's."""
    base, prefix = server

    def run(place: str, *arguments: str, text: str = "", code: int = 0) -> str:
        url = base + place if place.startswith("/") else f"{base}/clusters/{prefix}{place}"
        done = kubectl("--server", url, *arguments, text=text, code=code)
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="module")
def bound(at: At, server: tuple[str, str]) -> tuple[str, ...]:
    """Logical clusters that bind what another one exports; all three are likely on different shards."""
    at("exporter", "apply", "-f", "-", text=SCHEMA)
    binders = ("one", "two", "three")
    for name in binders:
        at(name, "apply", "-f", "-", text=BINDING.replace("EXPORTER", f"{server[1]}exporter"))
    for name in binders:
        at(name, "wait", "--for=condition=Ready", "--timeout=30s", "apibinding/widgets")
    return binders


def test_what_is_bound_is_as_if_defined_here(at: At, bound: tuple[str, ...]) -> None:
    for size, name in enumerate(bound, 1):
        assert "widgets" in at(name, "api-resources", "--api-group=example.dev")
        refused = at(name, "apply", "-f", "-", text=WIDGET.replace("SIZE", "9"), code=1)
        assert "should be less than or equal to 5" in refused
        at(name, "apply", "-f", "-", text=WIDGET.replace("SIZE", str(size)))
        assert at(name, "get", "wd").split() == ["NAME", "SIZE", "w", str(size)]
        assert "What is wanted of a widget." in at(name, "explain", "widgets.spec")
    assert "doesn't have a resource type" in at("exporter", "get", "widgets", code=1)


def test_all_of_them_at_once(at: At, bound: tuple[str, ...], server: tuple[str, str]) -> None:
    # By its whole path: older versions of kubectl drop that of --server here.
    found = json.loads(at("/", "get", "--raw", "/clusters/*/apis/example.dev/v1/widgets"))
    places = {item["metadata"]["annotations"]["kcp.io/cluster"]: item["spec"]["size"] for item in found["items"]}
    assert {f"{server[1]}{name}" for name in bound} <= places.keys()
    listed = at("/clusters/*", "get", "configmaps", "-A", "--chunk-size=5")
    assert listed.count("kube-root-ca.crt") >= 3 * len(bound)
    refused = at("/clusters/*", "delete", "configmap", "kube-root-ca.crt", "-n", "default", code=1)
    assert "only list and watch are" in refused


def test_the_exporters_view(at: At, bound: tuple[str, ...], server: tuple[str, str]) -> None:
    slices = json.loads(at("exporter", "get", "apiexportendpointslice", "widgets", "-o", "json"))
    (endpoint,) = slices["status"]["endpoints"]
    view = "/services/" + endpoint["url"].partition("/services/")[2]
    assert view == f"/services/apiexport/{server[1]}exporter/widgets"
    assert at(f"{view}/clusters/*", "get", "widgets", "-A", "--no-headers").count(" w ") == len(bound)
    one = f"{view}/clusters/{server[1]}one"
    at(one, "patch", "widget", "w", "--type=merge", "-p", '{"spec":{"size":4}}')
    assert at("one", "get", "widget", "w", "-o", "jsonpath={.spec.size}") == "4"
    at(one, "create", "configmap", "from-exporter", "--from-literal=a=b")
    assert "from-exporter" in at("one", "get", "configmaps", "-o", "name")
    assert "doesn't have a resource type" in at(one, "get", "secrets", code=1)


def test_the_end_of_a_binding(at: At, bound: tuple[str, ...]) -> None:
    at("three", "delete", "apibinding", "widgets", "--timeout=30s")
    gone = at("three", "get", "widgets", code=1)  # by discovery, or by what kubectl remembers of it
    assert "doesn't have a resource type" in gone or "could not find the requested resource" in gone
    assert at("one", "get", "widget", "w", "-o", "name") == "widget.example.dev/w\n"
