"""Joining an installation: recognise it by the token's digest, then exchange the token for a certificate.

The authority's certificate comes in the handshake of the address that is to be joined. It is trusted only if its
SHA-256 is the one in the token, and the token's secret is said only over a connection that this authority vouches for.
"""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc import shard_pb2_grpc
from kcpshard.rpc.placement_client import Refused, Unreachable, translate
from kcpshard.rpc.transport import TlsFiles, dial

TIMEOUT_S = 10.0


class Joined(NamedTuple):
    """`key` was made here and has not left this process."""

    key: bytes
    response: pb.JoinResponse


async def join(address: str, token: str, role: str, name: str = "", hosts: Sequence[str] = ()) -> Joined:
    """`address` is host:port of the join listener. Raises Refused (a sentence) or Unreachable."""
    digest = token.strip().rpartition(".")[2]
    authority = await asyncio.to_thread(_find_authority, address, digest)
    key = ec.generate_private_key(ec.SECP256R1())
    request = pb.JoinRequest(
        token=token.strip(), role=role, name=name, hosts=hosts, certificate_request=_certificate_request(key, name)
    )
    async with grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(authority)) as channel:
        stub: Any = shard_pb2_grpc.ShardBootstrapStub(channel)  # type: ignore[no-untyped-call]
        try:
            response = await stub.Join(request, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise translate(error) from error
    return Joined(_key_pem(key), response)


async def renew(address: str, tls: TlsFiles) -> pb.RenewResponse:
    """A new certificate in the place of that of `tls`, for its key. `address` is a shard's host:port. Raises Refused,
    Unreachable, and NotKeeper where another shard has to be asked."""
    key = serialization.load_pem_private_key(tls.key, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Refused("the key of this process is no elliptic curve key")
    async with dial(address, tls) as channel:
        stub: Any = shard_pb2_grpc.ShardAdminStub(channel)  # type: ignore[no-untyped-call]
        request = pb.RenewRequest(certificate_request=_certificate_request(key, "renewed"))
        try:
            answer: pb.RenewResponse = await stub.Renew(request, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise translate(error) from error
    return answer


def _find_authority(address: str, digest: str) -> bytes:
    """The certificate (PEM) with that digest from the chain that the address shows."""
    for certificate in _shown_chain(address):
        if sha256(certificate).hexdigest() == digest:
            return ssl.DER_cert_to_PEM_cert(certificate).encode()
    raise Refused(f"{address} does not belong to the installation that the join token is for")


def _shown_chain(address: str) -> list[bytes]:
    """The certificates (DER) of the handshake, none of them verified yet."""
    host, _, port = address.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    host = host.strip("[]")
    try:
        with (
            socket.create_connection((host, int(port)), TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as connection,
        ):
            # Public from Python 3.13 on, as SSLSocket.get_unverified_chain.
            return [certificate.public_bytes(_DER) for certificate in connection._sslobj.get_unverified_chain()]  # type: ignore[attr-defined]
    except (OSError, ValueError) as error:
        raise Unreachable(f"cannot connect to {address}: {error}") from error


_DER = 2  # _ssl.ENCODING_DER


def _certificate_request(key: ec.EllipticCurvePrivateKey, name: str) -> bytes:
    """Proves that we hold the key; what the certificate says is decided by whoever signs it."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name or "new")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    no_encryption = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_encryption)
