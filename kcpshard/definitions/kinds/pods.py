"""Pod, PodTemplate and ReplicationController."""

from collections.abc import Iterator
from datetime import UTC, datetime

from kcpshard.api.errors import FieldError, forbidden, invalid, required
from kcpshard.api.names import dns_subdomain_faults
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds import disabled_fields, pod_annotations, pod_changes
from kcpshard.definitions.kinds.affinity_faults import select_by_label_keys
from kcpshard.definitions.kinds.pod_defaults import default_pod, default_template, fill
from kcpshard.definitions.kinds.pod_faults import image_faults, pod_spec_faults, template_faults
from kcpshard.definitions.kinds.pod_warnings import (
    made_warnings,
    name_warnings,
    pod_warnings,
    profile_warnings,
    template_warnings,
)
from kcpshard.definitions.kinds.workload_faults import running_faults, status_faults
from kcpshard.definitions.strategies import Rules, keep, keep_all_but

Faults = Iterator[FieldError]
_MUTABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
    "previously negative)"
)


def _prepare_create(obj: Object) -> None:
    select_by_label_keys(obj["spec"], obj["metadata"].get("labels") or {})
    pod_annotations.copy_profiles(obj)
    obj["status"] = {"phase": "Pending", "qosClass": qos_class(obj["spec"])}
    if obj["spec"].get("schedulingGates"):
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        gated = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "lastProbeTime": None}
        gated |= {"lastTransitionTime": now, "message": "Scheduling is blocked due to non-empty scheduling gates"}
        obj["status"]["conditions"] = [gated]


def qos_class(spec: Object) -> str:
    """BestEffort: no cpu and memory asked for; Guaranteed: both, and limits equal to requests, in every container."""
    asked = guaranteed = bool(spec.get("containers"))
    asked = False
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        resources = container.get("resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        for name in ("cpu", "memory"):
            limit, request = _asked(limits, name), _asked(requests, name)
            asked = asked or limit != "0" or request != "0"
            guaranteed = guaranteed and limit != "0" and request == limit
    return "BestEffort" if not asked else "Guaranteed" if guaranteed else "Burstable"


def _asked(amounts: Object, name: str) -> str:
    """Less than nothing is no wish."""
    amount: str = amounts.get(name, "0")
    return "0" if amount.startswith("-") else amount


def _prepare_status(new: Object, old: Object) -> None:
    keep_all_but(new, old, "status")
    status, before = new.setdefault("status", {}), old.get("status") or {}
    if not status.get("qosClass") and before.get("qosClass"):
        status["qosClass"] = before["qosClass"]
    keep(new["metadata"], old["metadata"], "ownerReferences")


def _pod(obj: Object) -> Faults:
    annotations = obj["metadata"].get("annotations") or {}
    yield from pod_annotations.annotation_faults(annotations, obj["spec"], "metadata.annotations")
    yield from pod_spec_faults(obj["spec"], "spec", is_pod=True)
    yield from _made_claim_faults(obj)
    for member in ("containers", "initContainers"):
        for place, container in enumerate(obj["spec"].get(member) or ()):
            yield from image_faults(container, f"spec.{member}[{place}]")
    if not obj["spec"].get("serviceAccountName"):
        for place, volume in enumerate(obj["spec"].get("volumes") or ()):
            for number, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
                if source.get("serviceAccountToken") is not None:
                    path = f"spec.volumes[{place}].projected.sources[{number}].serviceAccountToken"
                    yield forbidden(path, "must not be specified when serviceAccountName is not set")


def _made_claim_faults(obj: Object) -> Faults:
    """Names of the claims that are made for ephemeral volumes."""
    name, volumes = obj["metadata"].get("name", ""), obj["spec"].get("volumes") or ()
    made = {f"{name}-{volume.get('name', '')}" for volume in volumes if volume.get("ephemeral") is not None}
    for place, volume in enumerate(volumes if name else ()):
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if claim in made:
            text = "must not reference a PVC that gets created for an ephemeral volume"
            yield invalid(f"spec.volumes[{place}].persistentVolumeClaim.claimName", claim, text)
        if volume.get("ephemeral") is not None and volume.get("name"):
            shown = f"{name}-{volume['name']}"
            for text in dns_subdomain_faults(shown):
                yield invalid(f"spec.volumes[{place}].name", volume["name"], f'PVC name "{shown}": {text}')


def _pod_create(obj: Object) -> Faults:
    yield from _pod(obj)
    yield from pod_annotations.match_faults(obj["metadata"].get("annotations") or {}, obj["spec"], "spec")
    if obj["spec"].get("ephemeralContainers"):
        yield forbidden("spec.ephemeralContainers", "cannot be set on create")
    if obj["spec"].get("schedulingGates") and obj["spec"].get("nodeName"):
        yield forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared")


def _pod_update(new: Object, old: Object) -> Faults:
    yield from _pod(new)
    yield from pod_annotations.changed_faults(new, old)
    after, before = new["spec"], old["spec"]
    for member in ("containers", "initContainers"):
        if len(after.get(member) or ()) != len(before.get(member) or ()):
            yield forbidden(f"spec.{member}", "pod updates may not add or remove containers")
            return
    deadline, last = after.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    if last is not None and deadline is None:
        yield invalid("spec.activeDeadlineSeconds", None, "must not update from a positive integer to nil value")
    elif last is not None and deadline is not None and last < deadline:
        yield invalid("spec.activeDeadlineSeconds", deadline, "must be less than or equal to previous value")
        return
    yield from _toleration_faults(after, before)
    gates = {gate["name"] for gate in before.get("schedulingGates") or ()}
    for place, gate in enumerate(after.get("schedulingGates") or ()):
        if gate["name"] not in gates:
            text = f"only deletion is allowed, but found new scheduling gate '{gate['name']}'"
            yield forbidden(f"spec.schedulingGates[{place}].name", text)
    if _fixed(after, before, gated=bool(gates)) != _fixed(before, before, gated=bool(gates)):
        yield forbidden("spec", f"pod updates may not change fields other than {_MUTABLE}\n")


def _toleration_faults(after: Object, before: Object) -> Faults:
    found = [_without_seconds(t) for t in after.get("tolerations") or ()]
    if any(_without_seconds(t) not in found for t in before.get("tolerations") or ()):
        text = "existing toleration can not be modified except its tolerationSeconds"
        yield forbidden("spec.tolerations", text)


def _without_seconds(toleration: Object) -> Object:
    return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}


def _fixed(spec: Object, old: Object, *, gated: bool) -> Object:
    """What an update may not change."""
    left = {"activeDeadlineSeconds", "schedulingGates", "tolerations", *(("nodeSelector", "affinity") if gated else ())}
    kept = {key: value for key, value in spec.items() if key not in left}
    for member in ("containers", "initContainers"):
        if kept.get(member):
            kept[member] = [{k: v for k, v in c.items() if k != "image"} for c in kept[member]]
    if old.get("terminationGracePeriodSeconds", 0) < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        kept["terminationGracePeriodSeconds"] = old["terminationGracePeriodSeconds"]
    return kept


def _ephemeral_update(new: Object, old: Object) -> Faults:
    yield from _pod(new)
    yield from pod_changes.ephemeral_faults(new, old)


def _resize_update(new: Object, old: Object) -> Faults:
    yield from _pod(new)
    yield from pod_changes.resize_faults(new, old, qos_class)


def _pod_status(new: Object, old: Object) -> Faults:
    status = new.get("status") or {}
    before, after = (o.get("spec", {}).get("nodeName") for o in (old, new))
    if before and after != before:
        yield forbidden("spec.nodeName", "may not be changed directly")
    for place, condition in enumerate(status.get("conditions") or ()):
        yield from checks.qualified_name(f"status.conditions[{place}].type", condition.get("type", ""))
    claims = {claim.get("name") for claim in (new.get("spec") or {}).get("resourceClaims") or ()}
    for place, claim in enumerate(status.get("resourceClaimStatuses") or ()):
        path, name = f"status.resourceClaimStatuses[{place}].name", claim.get("name", "")
        if name not in claims:
            yield invalid(path, name, "must match the name of an entry in `spec.resourceClaims`")
        if made := claim.get("resourceClaimName"):
            yield from checks.dns_subdomain(path, made)
    if name := status.get("nominatedNodeName"):
        yield from checks.dns_subdomain("status.nominatedNodeName", name)
    for place, entry in enumerate(status.get("podIPs") or ()):
        yield from checks.address(f"status.podIPs[{place}]", entry.get("ip", ""))


def _pod_fields(obj: Object) -> dict[str, str]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    ips = status.get("podIPs") or ()
    return {
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.restartPolicy": spec.get("restartPolicy", ""),
        "spec.schedulerName": spec.get("schedulerName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "spec.hostNetwork": "true" if spec.get("hostNetwork") else "false",
        "status.phase": status.get("phase", ""),
        "status.podIP": status.get("podIP") or (ips[0].get("ip", "") if ips else ""),
        "status.nominatedNodeName": status.get("nominatedNodeName", ""),
    }


def _sync_addresses(obj: Object) -> None:
    """podIP and podIPs, hostIP and hostIPs say the same."""
    status = obj.get("status") or {}
    for one, several in (("podIP", "podIPs"), ("hostIP", "hostIPs")):
        if status.get(one) and not status.get(several):
            status[several] = [{"ip": status[one]}]
        elif status.get(several) and not status.get(one):
            status[one] = status[several][0].get("ip", "")


def graceful_s(obj: Object, wanted_s: int | None) -> int:
    """How long a deletion takes: a pod that runs nowhere, or no longer, goes at once."""
    spec = obj.get("spec") or {}
    period = spec.get("terminationGracePeriodSeconds", 0) if wanted_s is None else wanted_s
    if not spec.get("nodeName") or (obj.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
        return 0
    return period if period >= 0 else 1


def _default_controller(obj: Object) -> None:
    spec = obj["spec"]
    fill(spec, replicas=1)
    template = spec.get("template") or {}
    default_template(template)
    if labels := (template.get("metadata") or {}).get("labels"):
        if not spec.get("selector"):
            spec["selector"] = dict(labels)
        if not obj["metadata"].get("labels"):
            obj["metadata"]["labels"] = dict(labels)


def _controller(obj: Object) -> Faults:
    spec, selector, template = obj["spec"], obj["spec"].get("selector") or {}, obj["spec"].get("template")
    yield from checks.nonnegative(spec, "spec", "minReadySeconds")
    if not selector:
        yield required("spec.selector")
    yield from checks.nonnegative(spec, "spec", "replicas")
    if template is None:
        yield required("spec.template")
        return
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector and any(labels.get(key) != value for key, value in selector.items()):
        yield invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    yield from template_faults(template, "spec.template")
    yield from running_faults(spec, "ReplicationController")


ROWS = {
    ("", "Pod"): Rules(
        default=(default_pod, _sync_addresses),
        prepare_create=(_prepare_create,),
        prepare_update={
            "status": _prepare_status,
            "ephemeralcontainers": pod_changes.prepare_ephemeral,
            "resize": pod_changes.prepare_resize,
        },
        validate_create=(_pod_create,),
        validate_update=(_pod_update,),
        validate_subresource={
            "status": (_pod_status,),
            "ephemeralcontainers": (_ephemeral_update,),
            "resize": (_resize_update,),
        },
        fields=tuple((label, ()) for label in _pod_fields({})),
        fields_from=_pod_fields,
        create_warnings=pod_warnings,
        early_warnings=profile_warnings,
        generation=True,
        graceful=graceful_s,
        disabled=disabled_fields.in_pod,
    ),
    ("", "PodTemplate"): Rules(
        default=(lambda obj: default_template(obj.get("template")),),
        validate=(lambda obj: template_faults(obj.get("template") or {}, "template"),),
        spec_warnings=lambda obj: template_warnings(obj.get("template"), "template"),
        generation=True,
        disabled=disabled_fields.in_template("template"),
    ),
    ("", "ReplicationController"): Rules(
        default=(_default_controller,),
        validate=(_controller,),
        create_warnings=name_warnings,
        spec_warnings=made_warnings,
        validate_subresource={"status": (status_faults,)},
        fields=(("status.replicas", ("status", "replicas")),),
        generation=True,
        disabled=disabled_fields.in_template("spec", "template"),
    ),
}
