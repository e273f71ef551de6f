"""Signs approved CertificateSigningRequests of kubernetes.io/kube-apiserver-client. What it issues is good in the
logical cluster of the request only (`api.certificate_scope`)."""

import base64
from contextlib import suppress

import orjson

from kcpshard.admission.certificate_requests import CERTIFICATE_REQUESTS, CLIENT_SIGNER
from kcpshard.api.errors import Conflict, NotFound
from kcpshard.api.events import Change, EventType
from kcpshard.api.objects import Object, timestamp
from kcpshard.controllers.contract import Key, Keys
from kcpshard.controllers.system_client import SystemClient
from kcpshard.credentials.issued_certificates import issue
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster
from kcpshard.verbs.shard import Shard

NAME = "certificatesigningrequest-signing-controller"
_OPTIONAL_USAGES, _USAGE = frozenset({"digital signature", "key encipherment"}), "client auth"
_NO_KEY_S = 1.0


class CertificateSigning:
    name = NAME

    def __init__(self, shard: Shard) -> None:
        self._shard, self._client = shard, SystemClient(shard, "certificate-controller")

    def see(self, cluster_id: int, change: Change) -> Keys:
        if change.group_resource != CERTIFICATE_REQUESTS or change.type is EventType.DELETED:
            return ()
        return ((change.name,),)

    async def reconcile(self, cluster: LogicalCluster, key: Key) -> float:
        value = self._shard.store.pending(cluster, CERTIFICATE_REQUESTS, "", key[0])
        request: Object | None = orjson.loads(envelope.body(value)) if value is not None else None
        if request is None or not is_to_be_signed(request):
            return 0
        authority = self._shard.issuer.authority
        if authority is None:
            return _NO_KEY_S
        spec = request["spec"]
        fault = usage_fault(spec["usages"])
        if not fault:
            pem, asked = base64.b64decode(spec["request"]), spec.get("expirationSeconds")
            try:
                made = issue(authority, pem, spec["usages"], asked, cluster.id, self._shard.now_us())
            except ValueError as error:
                fault = str(error)
        status = request["status"]
        if fault:
            failed = {"type": "Failed", "status": "True", "reason": "SignerValidationFailure", "message": fault}
            failed["lastUpdateTime"] = timestamp(self._shard.now_us())
            status["conditions"] = [*status["conditions"], failed]
        else:
            status["certificate"] = base64.b64encode(made).decode()
        await self._write(cluster, request)
        return 0

    async def _write(self, cluster: LogicalCluster, request: Object) -> None:
        resource = self._shard.catalog.find(cluster, "certificates.k8s.io", "v1", "certificatesigningrequests")
        assert resource is not None, "certificates are always served"
        with suppress(Conflict, NotFound):  # another change is another look
            await self._client.update(cluster, resource, request, "status")


def is_to_be_signed(request: Object) -> bool:
    """Approved, and neither denied, failed nor signed yet."""
    status = request.get("status") or {}
    if request["spec"]["signerName"] != CLIENT_SIGNER or status.get("certificate"):
        return False
    said = {each["type"] for each in status.get("conditions") or () if each.get("status") == "True"}
    return "Approved" in said and said.isdisjoint(("Denied", "Failed"))


def usage_fault(usages: list[str]) -> str:
    """Why that signer does not sign for such a use; "" if it does."""
    for usage in usages:
        if usage != _USAGE and usage not in _OPTIONAL_USAGES:
            return f"invalid usage for client certificate: {usage}"
    return "" if _USAGE in usages else f"missing required usage for client certificate: {_USAGE}"
