"""CertificateSigningRequests for tests."""

import base64
from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"


def signing_request(
    name: str, group: str = "devs", signer: str = CLIENT_SIGNER, usages: Sequence[str] = ("client auth",)
) -> dict[str, Any]:
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group), x509.NameAttribute(NameOID.COMMON_NAME, "jane")]
    )
    made = x509.CertificateSigningRequestBuilder().subject_name(subject)
    pem = made.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    spec = {"request": base64.b64encode(pem).decode(), "signerName": signer, "usages": [*usages]}
    return {"metadata": {"name": name}, "spec": spec}


def approved(request: dict[str, Any], kind: str = "Approved") -> dict[str, Any]:
    condition = {"type": kind, "status": "True", "reason": "Test", "message": "so"}
    return {**request, "status": {"conditions": [condition]}}
