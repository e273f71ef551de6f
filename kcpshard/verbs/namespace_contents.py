"""What every namespace holds from its first moment: ServiceAccount `default` and ConfigMap `kube-root-ca.crt`.

They are part of the commit that makes the namespace, so nobody ever sees one without them. Deleted or changed ones are
restored by `controllers.namespace_contents`. The certificate is that of the authority which clients of this
installation trust.
"""

import uuid
from typing import Any, NamedTuple

from kcpshard.api.objects import Object, timestamp
from kcpshard.storage.contract import Put
from kcpshard.storage.envelope import encode_object

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

    def puts(self, namespace: str, now_us: int) -> list[Put]:
        found = []
        if self.service_account:
            found.append(_put(SERVICE_ACCOUNTS, service_account(), namespace, now_us))
        if self.root_certificate:
            found.append(_put(CONFIG_MAPS, root_certificate(self.root_certificate), namespace, now_us))
        return found


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


def _put(group_resource: str, obj: Object, namespace: str, now_us: int) -> Put:
    uid = str(uuid.uuid4())
    meta: dict[str, Any] = {**obj["metadata"], "namespace": namespace, "uid": uid}
    meta["creationTimestamp"] = timestamp(now_us)
    json, hole, annotations = encode_object({**obj, "metadata": meta})
    return Put(group_resource, namespace, meta["name"], json, hole, annotations, uid, "v1", {}, {})
