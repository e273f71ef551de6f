"""CertificateSubjectRestriction, and which right a change of a CertificateSigningRequest needs besides (the policies
CertificateApproval and CertificateSigning): whoever approves needs `approve`, whoever signs `sign` of the signer."""

import base64

from cryptography import x509
from cryptography.x509.oid import NameOID

from kcpshard.admission.attributes import CREATE, Attributes
from kcpshard.api.errors import Forbidden
from kcpshard.api.objects import Object

CERTIFICATE_REQUESTS = "certificatesigningrequests.certificates.k8s.io"
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"
_MASTERS = "system:masters"


def admit(attributes: Attributes) -> None:
    """Nobody asks for a certificate of an administrator this way."""
    if attributes.resource.group_resource != CERTIFICATE_REQUESTS or attributes.operation != CREATE:
        return
    assert attributes.object is not None
    spec = attributes.object["spec"]
    if spec["signerName"] != CLIENT_SIGNER:
        return
    try:
        asked = x509.load_pem_x509_csr(base64.b64decode(spec["request"]))
    except (ValueError, KeyError):
        raise forbidden(attributes.name, "failed to parse CSR") from None
    if any(each.value == _MASTERS for each in asked.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)):
        raise forbidden(attributes.name, f"use of {CLIENT_SIGNER} signer with {_MASTERS} group is not allowed")


def needed_right(subresource: str, new: Object, old: Object) -> str:
    """The verb on the signer that this change needs; "" for none."""
    if subresource == "approval":
        return "approve"
    if subresource == "status":
        now, before = (obj.get("status") or {} for obj in (new, old))
        if any(now.get(member) != before.get(member) for member in ("certificate", "conditions")):
            return "sign"
    return ""


def forbidden(name: str, detail: str) -> Forbidden:
    text = f'{CERTIFICATE_REQUESTS} "{name}" is forbidden: {detail}'
    return Forbidden(text, name=name, group="certificates.k8s.io", kind="certificatesigningrequests")
