"""NamespaceLifecycle: nothing new in a namespace or a logical cluster that is absent or going, and three namespaces
never go."""

from typing import TYPE_CHECKING

from kcpshard.api.errors import Cause, Forbidden, object_not_found
from kcpshard.api.requests import decode_identity
from kcpshard.authorization.policy import MASTERS
from kcpshard.storage import envelope
from kcpshard.storage.clusters import TERMINATING

if TYPE_CHECKING:
    from kcpshard.admission.attributes import Attributes

IMMORTAL = frozenset(("default", "kube-system", "kube-public"))


def admit(attributes: "Attributes") -> None:
    if attributes.operation == "CREATE":
        if attributes.cluster is not None and attributes.cluster.state == TERMINATING:
            _check_system(attributes)
        if attributes.namespace and attributes.resource.group != "authorization.k8s.io":  # reviews ask about any
            _check_alive(attributes)
    elif attributes.operation == "DELETE" and attributes.resource.group_resource == "namespaces":
        name = attributes.name
        if name in IMMORTAL:
            text = f'namespaces "{name}" is forbidden: this namespace may not be deleted'
            raise Forbidden(text, name=name, kind="namespaces")


def _check_system(attributes: "Attributes") -> None:
    """Of a logical cluster that is being deleted: the installation's own parts may still write down what happens."""
    identity = decode_identity(attributes.identity)
    if MASTERS in identity.groups and not identity.scope:
        return
    resource, name = attributes.resource, attributes.name
    shown = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    text = "unable to create new content in this logical cluster because it is being terminated"
    raise Forbidden(f'{shown} "{name}" is forbidden: {text}', name=name, group=resource.group, kind=resource.plural)


def _check_alive(attributes: "Attributes") -> None:
    namespace = attributes.namespace
    if attributes.cluster is None:
        # An unborn logical cluster comes to life with these.
        if namespace in IMMORTAL:
            return
        raise object_not_found("", "namespaces", namespace)
    value = attributes.store.pending(attributes.cluster, "namespaces", "", namespace)
    if value is None:
        raise object_not_found("", "namespaces", namespace)
    if envelope.fields(value).get("status.phase") != "Terminating":
        return
    resource, name = attributes.resource, attributes.name
    shown = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    raise Forbidden(
        f'{shown} "{name}" is forbidden: unable to create new content in namespace {namespace} because it is being '
        "terminated",
        name=name,
        group=resource.group,
        kind=resource.plural,
        causes=(Cause("NamespaceTerminating", f"namespace {namespace} is being terminated", "metadata.namespace"),),
    )
