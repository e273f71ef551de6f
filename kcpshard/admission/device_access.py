"""Access to devices that are in use, for administration: only in namespaces that are labelled for it.

kube-apiserver judges this with a claim's other fields; here it is a policy, because it reads the namespace.
"""

from typing import TYPE_CHECKING, Any

from kcpshard.api.errors import forbidden, object_invalid
from kcpshard.storage import envelope

if TYPE_CHECKING:
    from kcpshard.admission.attributes import Attributes

CLAIMS, TEMPLATES = "resourceclaims.resource.k8s.io", "resourceclaimtemplates.resource.k8s.io"
_LABEL = "resource.kubernetes.io/admin-access"
_WANTED = f"admin access to devices requires the `{_LABEL}: true` label on the containing namespace"
Object = dict[str, Any]


def admit(attributes: "Attributes") -> None:
    """Raises Invalid. Of a claim's spec when it is made, which cannot change, and of its allocation."""
    resource, obj = attributes.resource, attributes.object
    if resource.group_resource not in (CLAIMS, TEMPLATES) or obj is None or resource.definition is not None:
        return
    if attributes.operation == "CREATE" and not attributes.subresource:
        path = _asked(obj.get("spec") or {})
    elif attributes.subresource == "status" and attributes.old is not None and not _granted(attributes.old):
        path = _granted(obj)
    else:
        return
    if path and not _is_labelled(attributes):
        raise object_invalid(resource.group, resource.kind, attributes.name, [forbidden(path, _WANTED)])


def _asked(spec: Object) -> str:
    """The first request for it as errors name it, in a template as in a claim; empty if there is none."""
    requests = ((spec.get("spec") or spec).get("devices") or {}).get("requests") or ()
    found = (place for place, request in enumerate(requests) if (request.get("exactly") or {}).get("adminAccess"))
    return next((f"spec.devices.requests[{place}].adminAccess" for place in found), "")


def _granted(claim: Object) -> str:
    allocation = (claim.get("status") or {}).get("allocation") or {}
    results = (allocation.get("devices") or {}).get("results") or ()
    found = (place for place, result in enumerate(results) if result.get("adminAccess"))
    return next((f"status.allocation.devices.results[{place}].adminAccess" for place in found), "")


def _is_labelled(attributes: "Attributes") -> bool:
    if attributes.cluster is None:
        return False
    value = attributes.store.pending(attributes.cluster, "namespaces", "", attributes.namespace)
    return value is not None and envelope.labels(value).get(_LABEL) == "true"
