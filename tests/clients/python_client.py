"""The Python client's typed, dynamic and custom-object sides, its YAML tools, watches and tokens, at work on a server.

python -m tests.clients.python_client      (`make python-client`)
"""

import base64
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import yaml
from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client import ApiException
from kubernetes.dynamic.exceptions import ConflictError, ForbiddenError, NotFoundError, UnprocessibleEntityError

from tests.clients.tier import Tenant, running_tier, tenant

MANIFEST = """\
apiVersion: v1
kind: Namespace
metadata: {name: python}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: python}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: python}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "web:1"}]}
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: one, namespace: python}
- apiVersion: v1
  kind: Secret
  metadata: {name: two, namespace: python}
  stringData: {word: hunter2}
"""
PROPERTIES = {"size": {"type": "integer", "minimum": 1}, "colour": {"type": "string", "default": "blue"}}
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "gadgets.python.example.com"},
    "spec": {
        "group": "python.example.com",
        "scope": "Namespaced",
        "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "shortNames": ["gad"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"},
                },
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "properties": PROPERTIES},
                            "status": {"type": "object", "properties": {"size": {"type": "integer"}}},
                        },
                    }
                },
            }
        ],
    },
}


def main() -> int:
    with running_tier() as tier:
        cluster, other = tenant(tier, "python"), tenant(tier, "neighbour")
        before = everything(other)
        with config.new_client_from_config(str(cluster.kubeconfig)) as connection:
            for part in (yaml_files, typed_objects, custom_objects, dynamic_objects, watches, accounts, removal):
                part(connection, cluster)
                print("ok", part.__name__, flush=True)
        assert everything(other) == before, "another logical cluster has changed"
    return 0


def refused(code: int, call: Callable[..., Any], *arguments: Any, **named: Any) -> None:
    try:
        call(*arguments, **named)
    except ApiException as error:
        assert error.status == code, error
        return
    raise AssertionError(f"not refused: {call}")


def yaml_files(connection: client.ApiClient, _: Tenant) -> None:
    utils.create_from_yaml(connection, yaml_objects=list(yaml.safe_load_all(MANIFEST)))
    secret = client.CoreV1Api(connection).read_namespaced_secret("two", "python")
    assert base64.b64decode(secret.data["word"]) == b"hunter2"
    service = client.CoreV1Api(connection).read_namespaced_service("web", "python")
    assert service.spec.cluster_ip and service.spec.type == "ClusterIP"


def typed_objects(connection: client.ApiClient, _: Tenant) -> None:
    apps = client.AppsV1Api(connection)
    deployment = apps.read_namespaced_deployment("web", "python")
    assert deployment.metadata.generation == 1 and deployment.spec.strategy.type == "RollingUpdate"
    scale = apps.read_namespaced_deployment_scale("web", "python")
    scale.spec.replicas = 3
    apps.replace_namespaced_deployment_scale("web", "python", scale)
    found = apps.patch_namespaced_deployment(
        "web", "python", {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}}
    )
    assert (found.spec.replicas, found.spec.template.spec.containers[0].image) == (3, "web:2")
    refused(409, apps.replace_namespaced_deployment, "web", "python", deployment)
    found.status = client.V1DeploymentStatus(replicas=3, observed_generation=found.metadata.generation)
    found = apps.replace_namespaced_deployment_status("web", "python", found)
    assert found.status.replicas == 3
    found.spec.selector.match_labels = {"app": "other"}
    refused(422, apps.replace_namespaced_deployment, "web", "python", found)
    jobs = client.BatchV1Api(connection)
    pod = client.V1PodSpec(restart_policy="Never", containers=[client.V1Container(name="a", image="b")])
    spec = client.V1JobSpec(template=client.V1PodTemplateSpec(spec=pod))
    job = jobs.create_namespaced_job(
        "python", client.V1Job(metadata=client.V1ObjectMeta(generate_name="job-"), spec=spec)
    )
    assert job.spec.backoff_limit == 6 and job.metadata.name.startswith("job-")
    jobs.delete_collection_namespaced_job("python", propagation_policy="Background")
    assert jobs.list_namespaced_job("python").items == []


def custom_objects(connection: client.ApiClient, _: Tenant) -> None:
    client.ApiextensionsV1Api(connection).create_custom_resource_definition(DEFINITION)
    wait_for(lambda: client.CustomObjectsApi(connection).get_api_resources("python.example.com", "v1"))
    place = ("python.example.com", "v1", "python", "gadgets")
    api = client.CustomObjectsApi(connection)
    gadget = {"apiVersion": "python.example.com/v1", "kind": "Gadget", "metadata": {"name": "a"}, "spec": {"size": 2}}
    assert api.create_namespaced_custom_object(*place, gadget)["spec"] == {"size": 2, "colour": "blue"}
    api.patch_namespaced_custom_object_status(*place, "a", {"status": {"size": 1}})
    assert api.get_namespaced_custom_object_scale(*place, "a")["status"]["replicas"] == 1
    refused(422, api.patch_namespaced_custom_object, *place, "a", {"spec": {"size": 0}})
    assert api.get_namespaced_custom_object(*place, "a")["status"] == {"size": 1}


def dynamic_objects(connection: client.ApiClient, _: Tenant) -> None:
    found = dynamic.DynamicClient(connection)
    gadgets = found.resources.get(api_version="python.example.com/v1", kind="Gadget")
    body = {"apiVersion": "python.example.com/v1", "kind": "Gadget", "metadata": {"name": "b"}, "spec": {"size": 5}}
    made = gadgets.server_side_apply(namespace="python", name="b", body=body, field_manager="one")
    assert made.spec.colour == "blue"
    other = {**body, "spec": {"size": 6}}
    expect(ConflictError, lambda: gadgets.server_side_apply(namespace="python", body=other, field_manager="two"))
    forced = gadgets.server_side_apply(namespace="python", body=other, field_manager="two", force_conflicts=True)
    assert forced.spec.size == 6
    expect(
        UnprocessibleEntityError, lambda: gadgets.create(namespace="python", body={**body, "metadata": {"name": "B"}})
    )
    expect(NotFoundError, lambda: gadgets.get(namespace="python", name="none"))
    assert [g.metadata.name for g in gadgets.get(namespace="python").items] == ["a", "b"]
    maps = found.resources.get(api_version="v1", kind="ConfigMap")
    page = maps.get(namespace="python", limit=1)
    rest = maps.get(namespace="python", _continue=page.metadata["continue"])
    assert {i.metadata.name for i in (*page.items, *rest.items)} >= {"one", "kube-root-ca.crt"}


def watches(connection: client.ApiClient, _: Tenant) -> None:
    api = client.CoreV1Api(connection)
    seen: list[tuple[str, str]] = []
    started = threading.Event()
    version = api.list_namespaced_config_map("python").metadata.resource_version

    def follow() -> None:
        started.set()
        stream = watch.Watch()
        for event in stream.stream(
            api.list_namespaced_config_map, "python", resource_version=version, timeout_seconds=20
        ):
            seen.append((event["type"], event["object"].metadata.name))
            if event["type"] == "DELETED":
                stream.stop()

    follower = threading.Thread(target=follow)
    follower.start()
    started.wait()
    api.create_namespaced_config_map("python", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="seen")))
    api.patch_namespaced_config_map("seen", "python", {"data": {"a": "b"}})
    api.delete_namespaced_config_map("seen", "python")
    follower.join(30)
    assert seen == [("ADDED", "seen"), ("MODIFIED", "seen"), ("DELETED", "seen")], seen


def accounts(connection: client.ApiClient, cluster: Tenant) -> None:
    """A service account's token is somebody here, with the rights that it is given."""
    core, rbac = client.CoreV1Api(connection), client.RbacAuthorizationV1Api(connection)
    core.create_namespaced_service_account(
        "python", client.V1ServiceAccount(metadata=client.V1ObjectMeta(name="robot"))
    )
    request = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[]))
    token = core.create_namespaced_service_account_token("robot", "python", request).status.token
    settings = client.Configuration(host=cluster.server)
    settings.ssl_ca_cert, settings.api_key = str(cluster.authority), {"authorization": f"Bearer {token}"}
    with client.ApiClient(settings) as robot:
        who = client.AuthenticationV1Api(robot).create_self_subject_review({}).status.user_info
        assert who.username == "system:serviceaccount:python:robot", who
        refused(403, client.CoreV1Api(robot).list_namespaced_config_map, "python")
        rule = client.V1PolicyRule(api_groups=[""], resources=["configmaps"], verbs=["list"])
        lister = client.V1ObjectMeta(name="lister")
        rbac.create_namespaced_role("python", client.V1Role(metadata=lister, rules=[rule]))
        subject = client.RbacV1Subject(kind="ServiceAccount", name="robot", namespace="python")
        role = client.V1RoleRef(api_group="rbac.authorization.k8s.io", kind="Role", name="lister")
        binding = client.V1RoleBinding(metadata=lister, subjects=[subject], role_ref=role)
        rbac.create_namespaced_role_binding("python", binding)
        wait_for(lambda: client.CoreV1Api(robot).list_namespaced_config_map("python"))
        refused(403, client.CoreV1Api(robot).list_namespaced_secret, "python")
        maps = dynamic.DynamicClient(robot).resources.get(api_version="v1", kind="ConfigMap")
        expect(ForbiddenError, lambda: maps.delete(name="one", namespace="python"))


def removal(connection: client.ApiClient, _: Tenant) -> None:
    core = client.CoreV1Api(connection)
    core.delete_namespace("python")

    def is_gone() -> None:
        refused(404, core.read_namespace, "python")

    wait_for(is_gone)
    refused(404, client.AppsV1Api(connection).read_namespaced_deployment, "web", "python")


def expect(error: type[Exception], call: Callable[[], Any]) -> None:
    try:
        call()
    except error:
        return
    raise AssertionError(f"no {error.__name__}")


def wait_for(call: Callable[[], Any]) -> Any:
    """What it gives, as soon as it raises nothing; its last error after ten seconds."""
    for _ in range(100):
        try:
            return call()
        except (ApiException, AssertionError):
            time.sleep(0.1)
    return call()


def everything(of: Tenant) -> Any:
    return [of.ask(f"/api/v1/{plural}")["items"] for plural in ("namespaces", "configmaps", "secrets", "events")]


if __name__ == "__main__":
    sys.exit(main())
