# ruff: noqa: E501 - a table: one row per fact is worth long lines
"""Cases of `admission` about what is not written in the form of its resource, and about the plug-ins that a
kube-apiserver runs unasked.
"""

from collections.abc import Iterator
from typing import Any

from tests.differential.admission_rows import (
    APPLY,
    Case,
    Object,
    binding,
    hook,
    hooks,
    make,
    mutating_policy,
    policy,
    rule,
)
from tests.differential.exchanges import JSON_PATCH, MERGE, Exchange

NS = "/api/v1/namespaces/{case}"
PODS = f"{NS}/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/{case}/deployments"
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/{case}/ingresses"
STORAGE_CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
INGRESS_CLASSES = "/apis/networking.k8s.io/v1/ingressclasses"
RUNTIME_CLASSES = "/apis/node.k8s.io/v1/runtimeclasses"
PRIORITY_CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"
ACCOUNT = make(f"{NS}/serviceaccounts", {"metadata": {"name": "default"}, "automountServiceAccountToken": False})


def named(name: str, **members: Any) -> Object:
    return {"metadata": {"name": name, **members.pop("meta", {})}, **members}


def pod(name: str, meta: Object | None = None, **spec: Any) -> Exchange:
    body = named(name, meta=meta or {}, spec={"containers": [{"name": "c", "image": "i"}], **spec})
    return make(PODS, body)


def get(url: str) -> Exchange:
    return Exchange("", "GET", url)


def delete(url: str) -> Exchange:
    return Exchange("", "DELETE", url)


def put(url: str, body: Object) -> Exchange:
    return Exchange("", "PUT", url, body)


def merge(url: str, body: Object) -> Exchange:
    return Exchange("", "PATCH", url, body, MERGE)


def cases() -> list[Case]:
    found = [
        *_scales(),
        *_bindings(),
        *_evictions(),
        *_tokens(),
        *_connections(),
        *_reviews(),
        *_terminating(),
        *_plug_ins(),
    ]
    return [case._replace(setup=[ACCOUNT, *case.setup]) for case in found]


def judging(name: str, resource: str, setup: list[Exchange], writes: list[Exchange], *, groups: str = "", operations: str = "*",
            denied: str = "object.metadata.name == 'denied'", versions: str = "*", mutations: tuple[str, ...] = ()) -> Iterator[Case]:  # fmt: skip
    """The same writes seen by a policy, by webhooks of both kinds, and changed by policies."""
    rules = [rule(resource, operations, groups, versions)]
    yield Case(
        f"{name}-policy",
        [*setup, policy({"validations": [{"expression": f"!({denied})", "message": "no"}]}, rules), binding()],
        writes,
    )
    yield Case(
        f"{name}-seen",
        [
            *setup,
            policy(
                {
                    "validations": [
                        {
                            "expression": "false",
                            "messageExpression": "string(request.operation) + ' ' + request.resource.resource + ' ' + request.subResource + ' ' + request.kind.kind + ' ' + request.kind.version + ' ' + request.name",
                        }
                    ]
                },
                rules,
            ),
            binding(),
        ],
        writes,
    )
    for kind in ("Validating", "Mutating"):
        yield Case(f"{name}-hook-{kind.lower()}", [*setup, hooks(kind, hook("echo", rules=rules))], writes)
    yield Case(
        f"{name}-hook-warn",
        [*setup, hooks("Mutating", hook("warn", rules=rules)), hooks("Validating", hook("label", rules=rules))],
        writes,
    )
    for number, text in enumerate(mutations):
        rules = [rule(resource, operations.replace("*", "CREATE,UPDATE,CONNECT"), groups, versions)]
        yield Case(
            f"{name}-mutated-{number}", [*setup, mutating_policy(text, rules=rules), binding("Mutating")], writes
        )


def _scales() -> Iterator[Case]:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    deployment = make(
        DEPLOYMENTS, named("d", spec={"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template})
    )
    url = f"{DEPLOYMENTS}/d/scale"

    def scale(replicas: Any) -> Object:
        return {
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {"name": "d", "namespace": "{case}"},
            "spec": {"replicas": replicas},
        }

    writes = [
        put(url, scale(3)), put(url, scale(8)), merge(url, {"spec": {"replicas": 4}}), merge(url, {"spec": {"replicas": 9}}),
        Exchange("", "PATCH", url, [{"op": "replace", "path": "/spec/replicas", "value": 7}], JSON_PATCH),
        Exchange("", "PATCH", f"{url}?fieldManager=m&force=true", scale(5), APPLY),
        put(f"{url}?dryRun=All", scale(2)), put(url, scale(-1)), get(url),
        merge(f"{DEPLOYMENTS}/d", {"spec": {"replicas": 9}}),
    ]  # fmt: skip
    yield from judging(
        "scale", "deployments/scale", [deployment], writes, groups="apps",
        denied="object.kind == 'Scale' && object.spec.replicas > 6 && (!has(oldObject.spec.replicas) || oldObject.spec.replicas < 9)",
        mutations=("Object{spec: Object.spec{replicas: 2}}", "[JSONPatch{op: 'replace', path: '/spec/replicas', value: object.spec.replicas + 1}]", "Object{spec: Object.spec{other: 2}}", "[JSONPatch{op: 'add', path: '/spec/other', value: 1}]", "Object{metadata: Object.metadata{labels: {'a': 'b'}}}"),
    )  # fmt: skip


def _bindings() -> Iterator[Case]:
    node = make(
        "/api/v1/nodes",
        named(
            "{case}-n",
            meta={"labels": {"topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "r", "other": "x"}},
        ),
    )
    removed = delete("/api/v1/nodes/{case}-n")

    def to(name: str, target: str = "{case}-n", kind: str = "Node", **meta: Any) -> Object:
        return named(name, meta=meta, target={"kind": kind, "name": target})

    writes = [
        make(f"{PODS}/a/binding", to("a", annotations={"by": "me"})), get(f"{PODS}/a"),
        make(f"{PODS}/denied/binding", to("denied")), make(f"{PODS}/denied/binding", to("other")),
        make(f"{PODS}/none/binding", to("none")), make(f"{PODS}/b/binding?dryRun=All", to("b")),
        make(f"{PODS}/b/binding", to("b", kind="")), get(f"{PODS}/b"),
        make(f"{NS}/bindings", to("c")), get(f"{PODS}/c"), removed,
    ]  # fmt: skip
    pods = [pod(name) for name in ("a", "b", "c", "denied")]
    yield from judging(
        "binding", "pods/binding,bindings", [node, *pods], writes,
        mutations=("Object{metadata: Object.metadata{annotations: {'seen': 'yes'}}}", "[JSONPatch{op: 'replace', path: '/target/name', value: 'elsewhere'}]", "Object{target: Object.target{name: 'else'}}", "[JSONPatch{op: 'replace', path: '/metadata/name', value: 'else'}]"),
    )  # fmt: skip
    yield Case(
        "topology",
        [node],
        [
            pod("a", nodeName="{case}-n"),
            pod("b", {"labels": {"topology.kubernetes.io/zone": "mine", "x": "y"}}, nodeName="{case}-n"),
            pod("c", nodeName="gone"),
            removed,
        ],
    )


def _evictions() -> Iterator[Case]:
    def eviction(name: str, **members: Any) -> Object:
        return {"apiVersion": "policy/v1", "kind": "Eviction", **named(name, **members)}

    writes = [
        make(f"{PODS}/a/eviction?dryRun=All", eviction("a")), make(f"{PODS}/a/eviction", eviction("a", deleteOptions={"gracePeriodSeconds": 0})),
        get(f"{PODS}/a"), make(f"{PODS}/denied/eviction", eviction("denied")), get(f"{PODS}/denied"),
        make(f"{PODS}/none/eviction", eviction("none")), make(f"{PODS}/b/eviction", eviction("other")),
        make(f"{PODS}/b/eviction", {**eviction("b"), "apiVersion": "policy/v1beta1"}),
    ]  # fmt: skip
    yield from judging(
        "eviction", "pods/eviction", [pod(name) for name in ("a", "b", "denied")], writes,
        mutations=("Object{deleteOptions: Object.deleteOptions{dryRun: ['All']}}", "[JSONPatch{op: 'replace', path: '/metadata/name', value: 'else'}]"),
    )  # fmt: skip


def _tokens() -> Iterator[Case]:
    def token(**members: Any) -> Object:
        return {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": ["x"]},
            **members,
        }

    url = f"{NS}/serviceaccounts/default/token"
    writes = [
        make(url, token(spec={"audiences": ["denied"], "expirationSeconds": 700})),
        make(url, token(spec={"audiences": ["denied"], "expirationSeconds": 7})),
        make(url, token(metadata={"name": "other"})),
    ]
    yield from (
        case
        for case in judging("token", "serviceaccounts/token", [], writes, denied="object.spec.audiences[0] == 'denied'")
        if case.name != "token-hook-warn"
    )


def _connections() -> Iterator[Case]:
    pods = [pod("a"), pod("denied")]
    service = make(f"{NS}/services", named("s", spec={"clusterIP": "None", "ports": [{"port": 80}]}))
    writes = [
        make(f"{PODS}/a/exec?command=sh&command=-c&stdin=true&stdout=true&tty=false&container=c", {}), get(f"{PODS}/denied/exec?command=ls"),
        get(f"{PODS}/a/exec?command=ls&container=none"), make(f"{PODS}/a/attach?stdin=1&stderr=0&container=c", {}),
        get(f"{PODS}/denied/attach"), make(f"{PODS}/a/portforward?ports=80", {}), get(f"{PODS}/denied/portforward"),
        get(f"{PODS}/denied/log"), get(f"{PODS}/none/exec?command=x"), get(f"{PODS}/denied/proxy/some/path"), get(f"{PODS}/denied/proxy"),
        get(f"{NS}/services/denied/proxy"), get(f"{NS}/services/https:s:/proxy/x"), Exchange("", "DELETE", f"{NS}/services/denied:80/proxy/x"),
    ]  # fmt: skip
    ways = "pods/exec,pods/attach,pods/portforward,pods/log,pods/proxy,services/proxy"
    denied = "request.name.contains('denied') || (has(object.command) && object.command[0] == 'sh')"
    yield from judging(
        "connect",
        ways,
        [*pods, service],
        writes,
        operations="CONNECT",
        denied=denied,
        mutations=("Object{container: 'none'}",),
    )
    rules = [rule("pods/exec,pods/attach", "CONNECT")]
    changed = mutating_policy("[JSONPatch{op: 'add', path: '/container', value: 'none'}]", rules=rules)
    yield Case(
        "connect-changed",
        [*pods, changed, binding("Mutating")],
        [get(f"{PODS}/a/exec?command=sh"), get(f"{PODS}/a/attach")],
    )


def _reviews() -> Iterator[Case]:
    attributes = {"verb": "get", "resource": "pods", "namespace": "{case}"}
    body = {"spec": {"user": "nobody", "resourceAttributes": attributes}}
    url = "/apis/authorization.k8s.io/v1/namespaces/{case}/localsubjectaccessreviews"
    writes = [make(url, body), make(url, {"spec": {"resourceAttributes": attributes}})]
    yield from judging("review", "localsubjectaccessreviews", [], writes, groups="*", denied="true")


def _terminating() -> Iterator[Case]:
    target = {"kind": "Node", "name": "n"}
    review = {
        "spec": {"user": "nobody", "resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "{case}"}}
    }
    yield Case("terminating", [pod("a"), pod("b")], [
        delete("/api/v1/namespaces/{case}"),
        make(f"{PODS}/a/binding", named("a", target=target)), make(f"{NS}/bindings", named("a", target=target)),
        make(f"{PODS}/a/eviction", named("a")), make(f"{NS}/serviceaccounts/default/token", {"spec": {}}),
        make("/apis/authorization.k8s.io/v1/namespaces/{case}/localsubjectaccessreviews", review),
        merge(f"{PODS}/a", {"metadata": {"labels": {"x": "y"}}}), pod("c"),
    ])  # fmt: skip
    yield Case("absent", [], [
        make("/api/v1/namespaces/none-{case}/pods/a/binding", named("a", target=target)),
        make("/api/v1/namespaces/none-{case}/pods/a/eviction", named("a")),
        make("/api/v1/namespaces/none-{case}/serviceaccounts/default/token", {"spec": {}}),
        put("/api/v1/namespaces/none-{case}/configmaps/a", named("a")), merge("/api/v1/namespaces/none-{case}/configmaps/a", {}),
        put("/apis/apps/v1/namespaces/none-{case}/deployments/a/scale", {"metadata": {"name": "a"}, "spec": {"replicas": 1}}),
    ])  # fmt: skip


def _plug_ins() -> Iterator[Case]:
    backend = {"service": {"name": "s", "port": {"number": 80}}}
    default = {"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}
    yield Case("ingress-class", [], [
        make(INGRESSES, named("before", spec={"defaultBackend": backend})),
        make(INGRESS_CLASSES, named("{case}-b", meta=default, spec={"controller": "a.b/c"})),
        make(INGRESS_CLASSES, named("{case}-a", spec={"controller": "a.b/c"})),
        make(INGRESSES, named("a", spec={"defaultBackend": backend})),
        make(INGRESSES, named("b", spec={"defaultBackend": backend, "ingressClassName": "mine"})),
        make(INGRESSES, named("c", meta={"annotations": {"kubernetes.io/ingress.class": "x"}}, spec={"defaultBackend": backend})),
        make(INGRESSES, named("d")), merge(f"{INGRESSES}/before", {"metadata": {"labels": {"x": "y"}}}),
        delete(f"{INGRESS_CLASSES}/{{case}}-a"), delete(f"{INGRESS_CLASSES}/{{case}}-b"),
    ])  # fmt: skip
    claims = f"{NS}/persistentvolumeclaims"

    def claim(name: str, size: str = "1Gi", meta: Object | None = None, **spec: Any) -> Exchange:
        return make(
            claims,
            named(
                name,
                meta=meta or {},
                spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec},
            ),
        )

    def grown(name: str, size: str) -> Exchange:
        return merge(f"{claims}/{name}", {"spec": {"resources": {"requests": {"storage": size}}}})

    def bound(name: str) -> Exchange:
        return merge(f"{claims}/{name}/status", {"status": {"phase": "Bound"}})

    marks = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    yield Case("storage-class", [], [
        claim("before"), make(STORAGE_CLASSES, named("{case}-d", meta=marks, provisioner="x/y", allowVolumeExpansion=True)),
        make(STORAGE_CLASSES, named("{case}-f", provisioner="x/y", allowVolumeExpansion=False)),
        claim("a"), claim("b", storageClassName=""), claim("c", storageClassName="{case}-f"),
        claim("d", meta={"annotations": {"volume.beta.kubernetes.io/storage-class": "{case}-d"}}), claim("e", storageClassName="gone"),
        *(step for name in "abcde" for step in (bound(name), grown(name, "1024Mi"), grown(name, "2Gi"), grown(name, "1Gi"))),
        delete(f"{STORAGE_CLASSES}/{{case}}-d"), delete(f"{STORAGE_CLASSES}/{{case}}-f"),
    ])  # fmt: skip
    yield Case("priority", [], [
        make(PRIORITY_CLASSES, named("{case}-a", value=7, globalDefault=True)), make(PRIORITY_CLASSES, named("{case}-b", value=8, globalDefault=True)),
        make(PRIORITY_CLASSES, named("{case}-c", value=8, preemptionPolicy="Never")), merge(f"{PRIORITY_CLASSES}/{{case}}-c", {"globalDefault": True}),
        merge(f"{PRIORITY_CLASSES}/{{case}}-a", {"description": "x"}), pod("a"), pod("b", priorityClassName="{case}-c"),
        pod("c", priorityClassName="none"), pod("d", priority=3), pod("e", priority=8, priorityClassName="{case}-c"),
        pod("f", preemptionPolicy="Never"), pod("g", priorityClassName="system-node-critical"),
        *(delete(f"{PRIORITY_CLASSES}/{{case}}-{name}") for name in "abc"),
    ])  # fmt: skip
    scheduling = {
        "nodeSelector": {"r": "1"},
        "tolerations": [
            {"key": "k", "operator": "Exists"},
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists"},
        ],
    }
    overhead = {"podFixed": {"cpu": "100m", "memory": "1Gi"}}
    yield Case("runtime", [
        make(RUNTIME_CLASSES, named("{case}-r", handler="h", scheduling=scheduling, overhead=overhead)),
        make(RUNTIME_CLASSES, named("{case}-p", handler="h")),
    ], [
        pod("a", runtimeClassName="{case}-r"), pod("b", runtimeClassName="{case}-p"), pod("c", runtimeClassName="none"),
        pod("d", runtimeClassName="{case}-r", nodeSelector={"r": "2", "s": "3"}), pod("e", runtimeClassName="{case}-r", nodeSelector={"r": "1", "s": "3"}),
        pod("f", runtimeClassName="{case}-r", overhead={"cpu": "0.1", "memory": "1024Mi"}), pod("g", runtimeClassName="{case}-r", overhead={"cpu": "1"}),
        pod("h", overhead={"cpu": "1"}), pod("i", overhead={"X": "1"}), pod("k", runtimeClassName="{case}-p", overhead={"cpu": "1"}),
        pod("l", runtimeClassName="{case}-r", tolerations=[{"key": "k", "operator": "Equal", "value": "v"}, {"key": "k", "operator": "Exists"}, {"operator": "Exists", "effect": "NoSchedule"}]),
        delete(f"{RUNTIME_CLASSES}/{{case}}-r"), delete(f"{RUNTIME_CLASSES}/{{case}}-p"),
    ])  # fmt: skip
    limited = {"name": "limited", "annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}}
    account = {
        "metadata": limited,
        "secrets": [{"name": "ok"}],
        "imagePullSecrets": [{"name": "pull"}],
        "automountServiceAccountToken": False,
    }

    def env(name: str) -> Object:
        return {
            "name": "c",
            "image": "i",
            "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": name, "key": "k"}}}],
        }

    def env_from(name: str) -> Object:
        return {"name": "c2", "image": "i", "envFrom": [{"secretRef": {"name": name}}]}

    def limited_pod(name: str, **spec: Any) -> Exchange:
        return pod(name, serviceAccountName="limited", **spec)

    mirror: Object = {"annotations": {"kubernetes.io/config.mirror": "x"}}
    token = {"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "p"}}]}}
    secret = {"name": "v", "projected": {"sources": [{"secret": {"name": "s"}}]}}
    yield Case("account", [make(f"{NS}/serviceaccounts", account)], [
        limited_pod("a"), limited_pod("b", volumes=[{"name": "v", "secret": {"secretName": "ok"}}]), limited_pod("c", volumes=[{"name": "v", "secret": {"secretName": "no"}}]),
        limited_pod("d", containers=[env("ok")]), limited_pod("e", containers=[env("no")]), limited_pod("f", initContainers=[env_from("no")]),
        limited_pod("g", imagePullSecrets=[{"name": "pull"}]), limited_pod("h", imagePullSecrets=[{"name": "pull"}, {"name": "no"}]),
        pod("i", serviceAccountName="none"), pod("j", containers=[env("no")]),
        pod("k", mirror, nodeName="n"), pod("l", mirror, nodeName="n", serviceAccountName="default"), pod("m", mirror, nodeName="n", containers=[env("s")]),
        pod("n", mirror, nodeName="n", volumes=[token]), pod("o", mirror, nodeName="n", volumes=[secret]), pod("p", mirror),
        Exchange("", "PATCH", f"{PODS}/j/ephemeralcontainers", {"spec": {"ephemeralContainers": [{**env("no"), "name": "e"}]}}, MERGE),
    ])  # fmt: skip
    yield Case("tolerations", [], [
        pod("a"), pod("b", tolerations=[{"operator": "Exists"}]), pod("c", tolerations=[{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "operator": "Exists", "tolerationSeconds": 3}]),
        merge(f"{PODS}/b", {"spec": {"tolerations": [{"operator": "Exists"}, {"key": "x", "operator": "Exists"}]}}),
        make("/api/v1/nodes", named("{case}-n")), make("/api/v1/nodes", named("{case}-m", spec={"taints": [{"key": "x", "effect": "NoSchedule"}]})),
        delete("/api/v1/nodes/{case}-n"), delete("/api/v1/nodes/{case}-m"),
    ])  # fmt: skip
    topology = [{"matchLabelExpressions": [{"key": "failure-domain.beta.kubernetes.io/zone", "values": ["a"]}]}]
    term = {"matchExpressions": [{"key": "beta.kubernetes.io/os", "operator": "In", "values": ["l l"]}]}
    volume: Object = {
        "capacity": {"storage": "1"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Recycle",
        "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
        "hostPath": {"path": "/x"},
    }
    preferred = [
        {"weight": 1, "preference": {"matchExpressions": [{"key": "beta.kubernetes.io/arch", "operator": "Exists"}]}}
    ]
    blocks = ["10.0.0.1/8", "010.0.0.0/8", "::ffff:10.0.0.0/104", "2001:DB8::/32", "10.0.0.0/8", "::1/128"]
    slice_: Object = {"addressType": "IPv6", "endpoints": [{"addresses": ["2001:DB8::1"]}]}
    yield Case("warnings", [], [
        make(f"{STORAGE_CLASSES}?dryRun=All", named("a", provisioner="x/y", allowedTopologies=topology)),
        make("/api/v1/persistentvolumes?dryRun=All", named("a", meta={"annotations": {"volume.beta.kubernetes.io/mount-options": "x", "volume.beta.kubernetes.io/storage-class": "y"}}, spec=volume)),
        make("/api/v1/persistentvolumes?dryRun=All", named("a", spec={"capacity": {"storage": "1"}, "accessModes": ["ReadWriteOnce"], "rbd": {"monitors": ["m"], "image": "i"}})),
        claim("fraction", "100m"), pod("a", affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}, "preferredDuringSchedulingIgnoredDuringExecution": preferred}}),
        *(make("/apis/networking.k8s.io/v1/namespaces/{case}/networkpolicies?dryRun=All", named("a", spec={"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": block}}]}], "egress": [{"to": [{"ipBlock": {"cidr": block, "except": [block]}}]}]})) for block in blocks),
        make(f"{NS}/endpoints?dryRun=All", named("a", subsets=[{"addresses": [{"ip": "2001:DB8::1"}], "notReadyAddresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 1}]}])),
        make("/apis/discovery.k8s.io/v1/namespaces/{case}/endpointslices?dryRun=All", named("a", **slice_)),
        make("/apis/discovery.k8s.io/v1/namespaces/{case}/endpointslices?dryRun=All", named("a", addressType="FQDN", endpoints=[])),
        make("/api/v1/nodes?dryRun=All", named("{case}", spec={"externalID": "x", "podCIDR": "2001:DB8::/64"})),
        make(f"{RUNTIME_CLASSES}?dryRun=All", named("a", handler="h", scheduling={"nodeSelector": {"beta.kubernetes.io/os": "l"}})),
    ])  # fmt: skip
    requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    yield Case("claims-protected", [], [
        make(f"{NS}/persistentvolumeclaims", named("a", spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1"}}})),
        make("/api/v1/persistentvolumes", named("{case}-v", spec={"capacity": {"storage": "1"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}})),
        delete("/api/v1/persistentvolumes/{case}-v"), merge("/api/v1/persistentvolumes/{case}-v", {"metadata": {"finalizers": None}}), get(requests + "/none"),
    ])  # fmt: skip
