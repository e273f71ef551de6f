"""The row of a pod: what it is doing, told from phase, conditions and the states of its containers."""

from collections.abc import Iterable
from typing import Any

from kcpfront.printers.cells import NONE, has_condition, spec_of, status_of
from kcpfront.printers.columns import AGE, NAME, Column, Object, Printer, age, age_of, name_of

_COLUMNS = (
    NAME,
    Column("Ready", description="Containers that are ready, of all."),
    Column("Status", description="What the pod is doing."),
    Column("Restarts", description="How often containers were restarted, and when last."),
    AGE,
    Column("IP", description="Address of the pod.", priority=1),
    Column("Node", description="Where the pod runs.", priority=1),
    Column("Nominated Node", description="Where the pod may run once others have gone.", priority=1),
    Column("Readiness Gates", description="Further conditions of readiness, of all.", priority=1),
)
_COMPLETED = {"type": "Completed", "status": "True"}
_DONE = {
    "Succeeded": {**_COMPLETED, "reason": "Succeeded", "message": "The pod has completed successfully."},
    "Failed": {**_COMPLETED, "reason": "Failed", "message": "The pod failed."},
}


class _Summary:
    """What the containers' statuses add up to."""

    def __init__(self, pod: Object) -> None:
        status = status_of(pod)
        self.pod, self.ready, self.restarts, self.last = pod, 0, 0, ""
        self.reason: str = status.get("reason") or status.get("phase", "")
        gated = any(
            c.get("type") == "PodScheduled" and c.get("reason") == "SchedulingGated"
            for c in status.get("conditions") or ()
        )
        if gated:
            self.reason = "SchedulingGated"
        self._sidecars = {
            c.get("name") for c in spec_of(pod).get("initContainers") or () if c.get("restartPolicy") == "Always"
        }
        self.total = len(spec_of(pod).get("containers") or ()) + len(self._sidecars)
        if not self._read_init(status.get("initContainerStatuses") or ()) or has_condition(pod, "Initialized"):
            self._read_containers(status)
        self._read_end(status)

    def _count(self, container: Object) -> None:
        self.restarts += container.get("restartCount", 0)
        ended = ((container.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""
        self.last = max(self.last, ended)

    def _read_init(self, containers: Iterable[Object]) -> bool:
        """Whether the pod is still initializing; then all of its restarts so far are counted."""
        for place, container in enumerate(containers):
            self._count(container)
            state = container.get("state") or {}
            ended, waiting = state.get("terminated"), state.get("waiting") or {}
            if ended is not None and not ended.get("exitCode"):
                continue
            if container.get("name") in self._sidecars and container.get("started"):
                self.ready += bool(container.get("ready"))
                continue
            if ended is not None:
                self.reason = "Init:" + _end_of(ended)
            elif waiting.get("reason") and waiting["reason"] != "PodInitializing":
                self.reason = "Init:" + waiting["reason"]
            else:
                self.reason = f"Init:{place}/{len(spec_of(self.pod).get('initContainers') or ())}"
            return True
        return False

    def _read_containers(self, status: Object) -> None:
        self.restarts, self.last = 0, ""
        for container in status.get("initContainerStatuses") or ():
            if container.get("name") in self._sidecars:
                self._count(container)
        has_running, failure = False, ""
        for container in reversed(status.get("containerStatuses") or ()):
            self._count(container)
            state = container.get("state") or {}
            ended, waiting = state.get("terminated"), state.get("waiting") or {}
            if waiting.get("reason"):
                self.reason = waiting["reason"]
            elif ended is not None:
                self.reason = _end_of(ended)
                failure = self.reason if ended.get("exitCode") else failure
            elif container.get("ready") and state.get("running") is not None:
                has_running = True
                self.ready += 1
        if self.reason == "Completed":
            self.reason = self._of_completed(has_running, failure)

    def _of_completed(self, has_running: bool, failure: str) -> str:
        if has_running and has_condition(self.pod, "Ready"):
            return "Running"
        return failure or ("NotReady" if has_running else "Completed")

    def _read_end(self, status: Object) -> None:
        if not self.pod.get("metadata", {}).get("deletionTimestamp"):
            return
        if status.get("reason") == "NodeLost":
            self.reason = "Unknown"
        elif status.get("phase") not in ("Failed", "Succeeded"):
            self.reason = "Terminating"


def _end_of(ended: Object) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"


def _gates(pod: Object) -> str:
    gates = spec_of(pod).get("readinessGates") or ()
    true = sum(has_condition(pod, gate.get("conditionType", "")) for gate in gates)
    return f"{true}/{len(gates)}" if gates else NONE


def _cells(pod: Object, now: float) -> list[Any]:
    found, spec, status = _Summary(pod), spec_of(pod), status_of(pod)
    restarts = str(found.restarts)
    if found.restarts and found.last:
        restarts += f" ({age(found.last, now)} ago)"
    addresses = status.get("podIPs") or [{}]
    return [
        name_of(pod), f"{found.ready}/{found.total}", found.reason, restarts, age_of(pod, now),
        addresses[0].get("ip") or NONE, spec.get("nodeName") or NONE, status.get("nominatedNodeName") or NONE,
        _gates(pod),
    ]  # fmt: skip


def _conditions(pod: Object) -> list[Object]:
    done = _DONE.get(status_of(pod).get("phase", ""))
    return [done] if done else []


POD = Printer(_COLUMNS, _cells, _conditions)
