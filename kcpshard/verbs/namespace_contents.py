"""What every namespace holds from its first moment: ServiceAccount `default` and ConfigMap `kube-root-ca.crt`.

They are part of the commit that makes the namespace, so nobody ever sees one without them. Deleted or changed ones are
restored by `controllers.namespace_contents`. The certificate is that of the authority which clients of this
installation trust.
"""

from functools import lru_cache
from typing import NamedTuple

from kcpshard.api.objects import Object, timestamp
from kcpshard.storage.contract import Put
from kcpshard.verbs.stencils import NAMESPACE, Stencil, random_uid

SERVICE_ACCOUNTS, SERVICE_ACCOUNT = "serviceaccounts", "default"
CONFIG_MAPS, ROOT_CERTIFICATE, ROOT_CERTIFICATE_KEY = "configmaps", "kube-root-ca.crt", "ca.crt"
_DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)


class NamespaceContents(NamedTuple):
    """Which of the two there are; a certificate of "" is not known, then its ConfigMap is nobody's business here."""

    service_account: bool = False
    root_certificate: str = ""

    @property
    def size(self) -> int:
        return int(self.service_account) + bool(self.root_certificate)

    def puts(self, namespace: str, now_us: int) -> list[Put]:
        time = timestamp(now_us)
        return [stencil.put(random_uid(), time, namespace) for stencil in _stencils(self)]


@lru_cache(maxsize=8)  # one for a process
def _stencils(contents: NamespaceContents) -> tuple[Stencil, ...]:
    found = []
    if contents.service_account:
        found.append(_stencil(SERVICE_ACCOUNTS, service_account()))
    if contents.root_certificate:
        found.append(_stencil(CONFIG_MAPS, root_certificate(contents.root_certificate)))
    return tuple(found)


def _stencil(group_resource: str, obj: Object) -> Stencil:
    return Stencil(group_resource, {**obj, "metadata": {**obj["metadata"], "namespace": NAMESPACE}})


def service_account() -> Object:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": SERVICE_ACCOUNT}}


def root_certificate(text: str) -> Object:
    annotations = {"kubernetes.io/description": _DESCRIPTION}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": ROOT_CERTIFICATE, "annotations": annotations},
        "data": {ROOT_CERTIFICATE_KEY: text},
    }
