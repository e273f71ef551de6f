"""Kinds of the `full` set: for now only what the generic verbs need to know of them (generation, selectable fields)."""

from kcpshard.definitions.strategies import Rules

_GENERATION = (
    ("apps", "DaemonSet"), ("apps", "Deployment"), ("apps", "StatefulSet"), ("batch", "CronJob"), ("batch", "Job"),
    ("networking.k8s.io", "Ingress"), ("networking.k8s.io", "IngressClass"), ("networking.k8s.io", "NetworkPolicy"),
    ("policy", "PodDisruptionBudget"), ("discovery.k8s.io", "EndpointSlice"), ("scheduling.k8s.io", "PriorityClass"),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"), ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
)  # fmt: skip


def _fields(*labels: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Labels that are the path of the value."""
    return tuple((label, tuple(label.split("."))) for label in labels)


_POD_FIELDS = _fields(
    "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
    "status.phase", "status.podIP", "status.nominatedNodeName",
)  # fmt: skip

ROWS = {
    **{place: Rules(generation=True) for place in _GENERATION},
    ("batch", "Job"): Rules(generation=True, fields=(("status.successful", ("status", "succeeded")),)),
    ("apps", "ReplicaSet"): Rules(generation=True, fields=_fields("status.replicas")),
    ("", "ReplicationController"): Rules(generation=True, fields=_fields("status.replicas")),
    ("", "Pod"): Rules(generation=True, fields=_POD_FIELDS),
    ("", "Node"): Rules(fields=_fields("spec.unschedulable")),
    ("", "Service"): Rules(fields=_fields("spec.clusterIP", "spec.type")),
}
