# ruff: noqa: E501 - tables: one row per fact is worth long lines
"""Pod Security, generated: the same pods and workloads under every standard, here and on a real kube-apiserver.

    python -m tests.differential.pod_security KUBECONFIG [SEED [CASES]]      (controllers off)

Each case is one pod made of a few random faults, put as pod, or in a workload, into namespaces with random labels; and
namespaces with such pods change their labels. Code, message, causes and warnings are compared. Exit code 1 if any
differs. `make differential-pod-security KUBECONFIG=…` runs it.
"""

import asyncio
import json
import os
import random
import re
import sys
from collections.abc import Iterator
from typing import Any

from tests.contracts.api_client import ApiClient, memory_shard
from tests.differential.compare import RealServer, ask_ours, masked
from tests.differential.exchanges import MERGE, Exchange

PREFIX = "pod-security.kubernetes.io/"
LEVELS = ("privileged", "baseline", "restricted", "restricted", "baseline")
VERSIONS = (
    "latest",
    *(f"v1.{n}" for n in (0, 7, 8, 18, 19, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 34, 35, 36, 99)),
)
BAD = ("", "Baseline", "v1", "v1.01", "1.20", "v2.0", "v1.99999999999999999999")
_GENERATED = re.compile(r"\bg-[a-z0-9]{5}\b")
Object = dict[str, Any]


def _some(rng: random.Random, *values: Any) -> Any:
    return rng.choice(values)


def _security(rng: random.Random, of_pod: bool) -> Object:
    """A securityContext of a pod or a container with up to four random members."""
    profile = _some(rng, "RuntimeDefault", "Unconfined", "Localhost")
    typed = {"type": profile, **({"localhostProfile": "p"} if profile == "Localhost" else {})}
    members: Object = {
        "runAsNonRoot": _some(rng, True, False), "runAsUser": _some(rng, 0, 1000), "seccompProfile": typed,
        "appArmorProfile": dict(typed),
        "seLinuxOptions": _some(rng, {"type": "container_t"}, {"type": "container_engine_t"}, {"type": "x", "user": "u"},
                                {"role": "r"}, {"level": "s0"}, {"user": "u"}),
    }  # fmt: skip
    if of_pod:
        names = ("kernel.shm_rmid_forced", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_rmem",
                 "kernel.msgmax", "net.core.somaxconn")  # fmt: skip
        members["sysctls"] = [{"name": n, "value": "1"} for n in rng.sample(names, 2)]
    else:
        members |= {
            "privileged": _some(rng, True, False), "allowPrivilegeEscalation": _some(rng, True, False, False),
            "procMount": _some(rng, "Default", "Unmasked"),
            "capabilities": _some(rng, {"drop": ["ALL"]}, {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}, {"add": ["SYS_ADMIN", "CHOWN"]},
                                  {"drop": ["KILL"]}, {"drop": ["ALL"], "add": ["NET_RAW", "CHOWN"]}),
        }  # fmt: skip
        if members["privileged"]:
            members["allowPrivilegeEscalation"] = True
    return {name: members[name] for name in rng.sample(sorted(members), rng.randint(0, 5))}


def _good(of_pod: bool) -> Object:
    if of_pod:
        return {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def _container(rng: random.Random, name: str) -> Object:
    found: Object = {"name": name, "image": "i", "securityContext": _good(False) if rng.random() < 0.6 else {}}
    if rng.random() < 0.6:
        found["securityContext"] |= _security(rng, False)
    if found["securityContext"].get("privileged") or "SYS_ADMIN" in json.dumps(found):
        found["securityContext"]["allowPrivilegeEscalation"] = True
    if rng.random() < 0.15:
        found["ports"] = [{"containerPort": n, "hostPort": n} for n in rng.sample((80, 443, 8080), rng.randint(1, 2))]
    if rng.random() < 0.15 and not name.startswith("i"):
        action = _some(
            rng,
            {"httpGet": {"port": 1, "host": "h.x"}},
            {"tcpSocket": {"port": 1, "host": "127.0.0.1"}},
            {"httpGet": {"port": 1}},
        )
        found[_some(rng, "livenessProbe", "readinessProbe", "startupProbe")] = action
        if rng.random() < 0.5:
            found["lifecycle"] = {_some(rng, "preStop", "postStart"): action}
    return found


def _volume(rng: random.Random, name: str) -> Object:
    source = _some(
        rng, {"hostPath": {"path": "/x"}}, {"emptyDir": {}}, {"configMap": {"name": "c"}}, {"nfs": {"server": "s", "path": "/p"}},
        {"gitRepo": {"repository": "r"}}, {"iscsi": {"targetPortal": "1.2.3.4", "iqn": "iqn.2001-04.com.x:y", "lun": 0}}, {"csi": {"driver": "d.e"}},
        {"flexVolume": {"driver": "d/e"}}, {"image": {"reference": "r"}}, {"cephfs": {"monitors": ["m"]}}, {"secret": {"secretName": "s"}},
    )  # fmt: skip
    return {"name": name, **source}


def pod(rng: random.Random) -> tuple[Object, Object]:
    """Annotations and spec."""
    names = ("a", "b", "c")[: rng.randint(1, 3)]
    spec: Object = {"containers": [_container(rng, name) for name in names]}
    if rng.random() < 0.3:
        spec["initContainers"] = [_container(rng, "i")]
    security = {**(_good(True) if rng.random() < 0.5 else {}), **(_security(rng, True) if rng.random() < 0.4 else {})}
    if security:
        spec["securityContext"] = security
    if rng.random() < 0.4:
        spec["volumes"] = [_volume(rng, f"v{n}") for n in range(rng.randint(1, 3))]
    for member in ("hostNetwork", "hostPID", "hostIPC"):
        if rng.random() < 0.08:
            spec[member] = True
    if rng.random() < 0.15 and not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys():
        spec["hostUsers"] = False
    if rng.random() < 0.1:
        spec = {"os": {"name": "windows"}, "containers": [{"name": name, "image": "i"} for name in names]}
        if rng.random() < 0.5:
            spec["securityContext"] = {"windowsOptions": {"hostProcess": True}, "runAsNonRoot": True}
            spec["hostNetwork"] = True
    annotations: Object = {}
    if rng.random() < 0.15:
        value = _some(rng, "runtime/default", "unconfined", "localhost/x", "docker/default", 'a"b')
        keys = ("container.apparmor.security.beta.kubernetes.io/a", "seccomp.security.alpha.kubernetes.io/pod",
                "container.seccomp.security.alpha.kubernetes.io/b")  # fmt: skip
        annotations[_some(rng, *keys)] = value
    return annotations, spec


def labels(rng: random.Random) -> Object:
    found = {}
    for mode in ("enforce", "warn", "audit"):
        if rng.random() < 0.6:
            found[PREFIX + mode] = _some(rng, *LEVELS)
        if rng.random() < 0.5:
            found[f"{PREFIX}{mode}-version"] = _some(rng, *VERSIONS)
    return found


WORKLOADS = {
    "Deployment": ("apps/v1", "/apis/apps/v1/namespaces/{ns}/deployments"),
    "ReplicaSet": ("apps/v1", "/apis/apps/v1/namespaces/{ns}/replicasets"),
    "StatefulSet": ("apps/v1", "/apis/apps/v1/namespaces/{ns}/statefulsets"),
    "DaemonSet": ("apps/v1", "/apis/apps/v1/namespaces/{ns}/daemonsets"),
    "Job": ("batch/v1", "/apis/batch/v1/namespaces/{ns}/jobs"),
    "CronJob": ("batch/v1", "/apis/batch/v1/namespaces/{ns}/cronjobs"),
    "ReplicationController": ("v1", "/api/v1/namespaces/{ns}/replicationcontrollers"),
    "PodTemplate": ("v1", "/api/v1/namespaces/{ns}/podtemplates"),
}


def workload(rng: random.Random, kind: str, annotations: Object, spec: Object) -> Object:
    marked = {"app": "a"}
    restart = {"restartPolicy": "Never"} if kind in ("Job", "CronJob") else {}
    template = {"metadata": {"annotations": annotations, "labels": marked}, "spec": {**spec, **restart}}
    if kind == "CronJob":
        inner: Object = {"schedule": "@daily", "jobTemplate": {"spec": {"template": template}}}
    elif kind == "Job":
        inner = {"template": template}
    else:
        inner = {
            "template": template,
            "selector": marked if kind.startswith("Replication") else {"matchLabels": marked},
        }
        if kind == "StatefulSet":
            inner["serviceName"] = "s"
    document = {"apiVersion": WORKLOADS[kind][0], "kind": kind, "metadata": {"name": "w"}}
    return {**document, "template": template} if kind == "PodTemplate" else {**document, "spec": inner}


def _account(ns: str) -> Exchange:
    document = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    return Exchange("account", "POST", f"/api/v1/namespaces/{ns}/serviceaccounts", document)


def _namespace(ns: str, marks: Object) -> Exchange:
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ns, "labels": marks}}
    return Exchange(f"namespace {json.dumps(marks)}", "POST", "/api/v1/namespaces", document)


def _pod(ns: str, name: str, rng: random.Random, query: str = "?dryRun=All") -> Exchange:
    annotations, spec = pod(rng)
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "annotations": annotations}, "spec": spec}
    if rng.random() < 0.1:
        document["metadata"] = {"generateName": "g-", "annotations": annotations}
    return Exchange("pod", "POST", f"/api/v1/namespaces/{ns}/pods{query}", document)


def exchanges(seed: int, cases: int, run: str) -> Iterator[Exchange]:
    rng = random.Random(seed)
    for group in range(max(1, cases // 20)):
        ns = f"ps-{run}-{group}"
        yield _namespace(ns, labels(rng))
        yield _account(ns)
        for _ in range(12):
            yield _pod(ns, "p", rng)
        for _ in range(8):
            kind = rng.choice(sorted(WORKLOADS))
            document = workload(rng, kind, *pod(rng))
            yield Exchange(kind, "POST", WORKLOADS[kind][1].replace("{ns}", ns) + "?dryRun=All", document)
    for mode in ("enforce", "warn", "audit", "enforce-version", "warn-version", "audit-version"):
        for value in BAD:
            yield _namespace(f"ps-{run}-bad", {PREFIX + mode: value, PREFIX + "audit": "x"})
    yield from _relabelled(rng, run)


def _relabelled(rng: random.Random, run: str) -> Iterator[Exchange]:
    """Namespaces with pods in them get other labels; and pods are updated."""
    ns = f"ps-{run}-pods"
    yield _namespace(ns, {})
    yield _account(ns)
    for place in range(25):
        made = _pod(ns, f"p{place}", rng, "")
        made.body["metadata"] = {"name": f"p{place}", "annotations": made.body["metadata"].get("annotations")}
        yield made
    url = f"/api/v1/namespaces/{ns}"
    for _ in range(60):
        marks = {f"{PREFIX}{mode}": None for mode in ("enforce", "enforce-version", "warn", "warn-version", "audit")}
        wanted = {**marks, **labels(rng)}
        yield Exchange(f"relabel {wanted}", "PATCH", url, {"metadata": {"labels": wanted}}, MERGE)
        name = f"p{rng.randrange(25)}"
        images = {"spec": {"containers": [{"name": "a", "image": _some(rng, "i", "j", "k")}]}}
        yield Exchange("image", "PATCH", f"{url}/pods/{name}", images, "application/strategic-merge-patch+json")
        marked = {"metadata": {"labels": {"x": str(rng.random())}}}
        yield Exchange("label", "PATCH", f"{url}/pods/{name}", marked, MERGE)
        added = {
            "spec": {"ephemeralContainers": [{**_container(rng, f"e{rng.random()}"[:1] + str(rng.randrange(10**6)))}]}
        }
        for member in ("ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle"):
            added["spec"]["ephemeralContainers"][0].pop(member, None)
        sub = f"{url}/pods/{name}/ephemeralcontainers"
        yield Exchange("debug", "PATCH", sub, added, "application/strategic-merge-patch+json")
    for value in ("x", "restricted", "y", "y"):
        yield Exchange(f"bad {value}", "PATCH", url, {"metadata": {"labels": {PREFIX + "enforce": value}}}, MERGE)


async def run(kubeconfig: str, seed: int, cases: int) -> int:
    real, ours = RealServer(kubeconfig), ApiClient(memory_shard(api_set="full"))
    equal, refused, warned = 0, 0, 0
    differing: list[str] = []
    for exchange in exchanges(seed, cases, f"{seed}-{os.getpid()}"):
        if exchange.id == "account":
            real.ask(exchange)
            await ask_ours(ours, exchange)
            continue
        theirs, mine = real.ask(exchange), await ask_ours(ours, exchange)
        wanted, found = _judged(*theirs), _judged(*mine)
        refused += "violates PodSecurity" in str(wanted)
        warned += "would violate" in str(wanted)
        if wanted == found:
            equal += 1
        else:
            differing.append(
                f"--- {exchange.id} {exchange.url}\n{json.dumps(exchange.body)[:700]}\n real {wanted}\n ours {found}"
            )
    print("\n".join(differing[:12]))
    print(
        f"{equal} of {equal + len(differing)} answers equal; {refused} refused and {warned} warned of by Pod Security"
    )
    await ours.shard.store.close()
    return 1 if differing else 0


def _judged(code: int, document: Any, warnings: list[str]) -> Any:
    if code < 400:
        return code, warnings
    document = json.loads(_GENERATED.sub("g-NNNNN", json.dumps(document)))
    found = masked(document, code)
    return code, found.get("reason"), found["message"], found["details"], warnings


if __name__ == "__main__":
    os.environ.setdefault("KCP_VERIFY", "1")
    numbers = [int(text) for text in sys.argv[2:]]
    sys.exit(asyncio.run(run(sys.argv[1], *(numbers + [1, 2000][len(numbers) :]))))
