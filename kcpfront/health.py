"""/healthz, /livez, /readyz and /version in kube-apiserver's forms."""

import platform
from collections import Counter
from collections.abc import Callable, Mapping

from kcpfront.exchange import Reply
from kcpfront.request_info import RequestInfo
from kcpfront.responses import json_reply, text_reply

Check = Callable[[], str]  # "" when well, else what is wrong

# Monitoring made for kube-apiserver asks for its checks by name. What they look after there (storage, definitions,
# aggregation, service addresses, bootstrap objects) is the shards' business here, so each stands for having them.
KUBERNETES_NAMES = (
    "etcd",
    "autoregister-completion",
    "poststarthook/apiservice-openapi-controller",
    "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-status-local-available-controller",
    "poststarthook/apiservice-status-remote-available-controller",
    "poststarthook/bootstrap-controller",
    "poststarthook/crd-informer-synced",
    "poststarthook/generic-apiserver-start-informers",
    "poststarthook/kube-apiserver-autoregistration",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/start-apiextensions-informers",
    "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/start-kube-aggregator-informers",
    "poststarthook/start-kube-apiserver-admission-initializer",
    "poststarthook/start-service-ip-repair-controllers",
    "poststarthook/start-system-namespaces-controller",
    "poststarthook/storage-object-count-tracker-hook",
    "poststarthook/storage-readiness",
)


def kubernetes_checks(shards: Check) -> dict[str, Check]:
    return dict.fromkeys(KUBERNETES_NAMES, shards)


_NOT_FOUND = "404 page not found\n"


class Health:
    """Named checks per endpoint. Reasons are not shown to the world: probes are open to everybody."""

    def __init__(self, live: Mapping[str, Check], ready: Mapping[str, Check]) -> None:
        self._checks = {"healthz": {**live, **ready}, "livez": dict(live), "readyz": {**live, **ready}}
        self._made: Counter[tuple[str, str, str]] = Counter()  # name, endpoint, status; as many as there are checks

    @property
    def names(self) -> list[str]:
        return list(self._checks["readyz"])

    def failing(self) -> list[str]:
        """The reasons for not being ready, for the log."""
        return [f"{name}: {reason}" for name, check in self._checks["readyz"].items() if (reason := check())]

    def indicators(self) -> str:
        """What /metrics/slis shows: how each check is now, and how often it was well or not when it was asked for."""
        lines = ["# TYPE kubernetes_healthcheck gauge"]
        for endpoint, checks in self._checks.items():
            for name in checks:
                well = int(not self._fails(endpoint, name))
                lines.append(f'kubernetes_healthcheck{{name="{name}",type="{endpoint}"}} {well}')
        lines.append("# TYPE kubernetes_healthchecks_total counter")
        for (name, endpoint, status), number in sorted(self._made.items()):
            labels = f'name="{name}",status="{status}",type="{endpoint}"'
            lines.append(f"kubernetes_healthchecks_total{{{labels}}} {number}")
        return "\n".join([*lines, ""])

    def _fails(self, endpoint: str, name: str) -> bool:
        failed = bool(self._checks[endpoint][name]())
        self._made[name, endpoint, "error" if failed else "success"] += 1
        return failed

    def reply(self, info: RequestInfo) -> Reply | None:
        """None if the path is not a health check's."""
        _, endpoint, *rest = info.path.split("/", 2)
        checks = self._checks.get(endpoint)
        if checks is None:
            return None
        if not rest:
            return self._all(endpoint, checks, info)
        if rest[0] not in checks:
            return text_reply(404, _NOT_FOUND)
        failed = self._fails(endpoint, rest[0])
        return text_reply(500, "internal server error: reason withheld\n") if failed else text_reply(200, "ok")

    def _all(self, endpoint: str, checks: Mapping[str, Check], info: RequestInfo) -> Reply:
        excluded = set(info.query.get("exclude", ()))
        lines, failed = [], False
        for name in checks:
            if name in excluded:
                lines.append(f"[+]{name} excluded: ok\n")
            elif self._fails(endpoint, name):
                failed = True
                lines.append(f"[-]{name} failed: reason withheld\n")
            else:
                lines.append(f"[+]{name} ok\n")
        unknown = ", ".join(f'"{name}"' for name in sorted(excluded - checks.keys()))
        if unknown:
            lines.append(f"warn: some health checks cannot be excluded: no matches for {unknown}\n")
        if failed:
            return text_reply(500, "".join(lines) + f"{endpoint} check failed\n")
        if "verbose" in info.query:
            return text_reply(200, "".join(lines) + f"{endpoint} check passed\n")
        return text_reply(200, "ok")


KUBERNETES_VERSION = "v1.36.3"


def version_reply(software: str) -> Reply:
    """What kubectl and client libraries decide by, with our own release as build metadata."""
    major, minor, _ = KUBERNETES_VERSION[1:].split(".")
    document = {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": f"{KUBERNETES_VERSION}+kcp-python-{software}",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": f"python{platform.python_version()}",
        "platform": f"linux/{ {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(platform.machine(), platform.machine()) }",
    }
    return json_reply(200, document)
