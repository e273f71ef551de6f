"""The certificate of an agent that calls us: asked for with a bootstrap token, renewed with itself, kept in a Secret of
the physical cluster. The key is made here and leaves this process only for that Secret."""

import asyncio
import base64
import logging
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kcpsyncer.controllers.agent_rights import GROUP, SIGNER, username
from kcpsyncer.kube_client import Failure, KubeClient, resource_path
from kcpsyncer.kubeconfig import Access

_log = logging.getLogger(__name__)
Object = dict[str, Any]
LIFE_S = 7 * 24 * 3600
ANSWER_S = 300.0  # until a request is asked anew
_REQUESTS = resource_path("certificates.k8s.io", "v1", "certificatesigningrequests")


class AgentCredentials:
    """`secret` is where it is kept, as namespace and name; `bootstrap` leads to the logical cluster."""

    def __init__(self, uid: str, bootstrap: Access, physical: KubeClient, secret: tuple[str, str]) -> None:
        self._uid, self._bootstrap, self._physical, self._secret = uid, bootstrap, physical, secret

    async def access(self) -> tuple[Access, float]:
        """With a certificate that is good, and seconds until it should be renewed. Raises Failure."""
        kept = await self._kept()
        if kept is not None and (left := _renewal_s(kept[0])) > 0:
            return self._with(*kept), left
        known = self._with(*kept) if kept is not None and not _has_expired(kept[0]) else self._bootstrap
        certificate, key = await self._ask(known)
        await self._keep(certificate, key)
        return self._with(certificate, key), _renewal_s(certificate)

    def _with(self, certificate: str, key: str) -> Access:
        return replace(self._bootstrap, token="", certificate=certificate, key=key)

    async def _ask(self, access: Access) -> tuple[str, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = f"kcp-syncer-{secrets.token_hex(8)}"
        request = {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": name},
            "spec": {
                "request": base64.b64encode(_request(key, self._uid)).decode(),
                "signerName": SIGNER,
                "usages": ["client auth", "digital signature"],
                "expirationSeconds": LIFE_S,
            },
        }
        async with KubeClient(access) as client:
            await client.create(_REQUESTS, request)
            certificate = await self._signed(client, f"{_REQUESTS}/{name}")
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return certificate, key.private_bytes(encoding, form, serialization.NoEncryption()).decode()

    async def _signed(self, client: KubeClient, path: str) -> str:
        async with asyncio.timeout(ANSWER_S):
            while True:
                status = ((await client.get(path)) or {}).get("status") or {}
                if certificate := status.get("certificate"):
                    return base64.b64decode(certificate).decode()
                for condition in status.get("conditions") or ():
                    if condition["type"] in ("Denied", "Failed"):
                        raise Failure(403, condition["type"], f"the certificate is refused: {condition.get('message')}")
                await asyncio.sleep(0.5)

    async def _kept(self) -> tuple[str, str] | None:
        found = await self._physical.get(resource_path("", "v1", "secrets", *self._secret))
        data = (found or {}).get("data") or {}
        if not {"tls.crt", "tls.key"} <= data.keys():
            return None
        certificate, key = (base64.b64decode(data[name]).decode() for name in ("tls.crt", "tls.key"))
        try:
            x509.load_pem_x509_certificate(certificate.encode())
        except ValueError:
            return None
        return certificate, key

    async def _keep(self, certificate: str, key: str) -> None:
        namespace, name = self._secret
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": name, "namespace": namespace},
            "stringData": {"tls.crt": certificate, "tls.key": key},
        }
        await self._physical.apply(resource_path("", "v1", "secrets", namespace, name), secret, manager="kcp-agent")


def _request(key: ec.EllipticCurvePrivateKey, uid: str) -> bytes:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, GROUP),
            x509.NameAttribute(NameOID.COMMON_NAME, username(uid)),
        ]
    )
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


def _renewal_s(certificate: str) -> float:
    """Two thirds of its life are for use, the rest for renewing."""
    found = x509.load_pem_x509_certificate(certificate.encode())
    begin, end = found.not_valid_before_utc, found.not_valid_after_utc
    return (begin + (end - begin) * 2 / 3 - datetime.now(UTC)).total_seconds()


def _has_expired(certificate: str) -> bool:
    return x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc <= datetime.now(UTC)
