"""Who wraps data keys: a key of the configuration file, or a KMS v2 plug-in over gRPC.

Called on a thread, or before anything is served: both may take as long as the plug-in's timeout.
"""

import os
import uuid
from typing import Any, NamedTuple, Protocol

import grpc
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kcpshard.encryption.configuration import KmsPlugin, LocalKey, Provider
from kcpshard.rpc import kms_pb2, kms_pb2_grpc

NONCE_BYTES = 12
_CONTEXT = b"kcp data key"


class KeyServiceError(Exception):
    """A data key cannot be wrapped or unwrapped; the text is one sentence without any secret."""


class Wrapped(NamedTuple):
    """A data key as it is stored. `annotations` are a plug-in's own, given back to it."""

    ciphertext: bytes
    key_id: str
    annotations: dict[str, bytes]


class KeyService(Protocol):
    @property
    def name(self) -> str:
        """What stored data keys say of who wrapped them: aesgcm/NAME, kms/NAME."""

    def current_key_id(self) -> str:
        """Of the key that `wrap` uses now. Raises KeyServiceError."""

    def wrap(self, data_key: bytes) -> Wrapped: ...
    def unwrap(self, wrapped: Wrapped) -> bytes: ...


def key_service(provider: Provider) -> KeyService:
    return LocalKeyService(provider) if isinstance(provider, LocalKey) else KmsKeyService(provider)


class LocalKeyService:
    """A key of the file: its name is its identity, so a changed secret needs a new name."""

    def __init__(self, key: LocalKey) -> None:
        self.name = f"aesgcm/{key.name}"
        self._cipher = AESGCM(key.secret)

    def current_key_id(self) -> str:
        return ""

    def wrap(self, data_key: bytes) -> Wrapped:
        nonce = os.urandom(NONCE_BYTES)
        return Wrapped(nonce + self._cipher.encrypt(nonce, data_key, _CONTEXT), "", {})

    def unwrap(self, wrapped: Wrapped) -> bytes:
        nonce, sealed = wrapped.ciphertext[:NONCE_BYTES], wrapped.ciphertext[NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, sealed, _CONTEXT)
        except InvalidTag:
            raise KeyServiceError(f"the key {self.name} is not the one that sealed this directory's data") from None


class KmsKeyService:
    def __init__(self, plugin: KmsPlugin) -> None:
        self.name = f"kms/{plugin.name}"
        self._endpoint = plugin.endpoint.replace("unix://", "unix:", 1)
        self._timeout_s = plugin.timeout_s

    def current_key_id(self) -> str:
        status = self._ask("Status", kms_pb2.StatusRequest())
        if status.healthz != "ok":
            raise KeyServiceError(f"the plug-in {self.name} says that it is not healthy")
        return str(status.key_id)

    def wrap(self, data_key: bytes) -> Wrapped:
        answer = self._ask("Encrypt", kms_pb2.EncryptRequest(plaintext=data_key, uid=str(uuid.uuid4())))
        return Wrapped(answer.ciphertext, answer.key_id, dict(answer.annotations))

    def unwrap(self, wrapped: Wrapped) -> bytes:
        request = kms_pb2.DecryptRequest(
            ciphertext=wrapped.ciphertext,
            uid=str(uuid.uuid4()),
            key_id=wrapped.key_id,
            annotations=wrapped.annotations,
        )
        return bytes(self._ask("Decrypt", request).plaintext)

    def _ask(self, method: str, request: Any) -> Any:
        """One connection a call: there are a handful a day."""
        with grpc.insecure_channel(self._endpoint) as channel:  # a unix socket; its permissions are its security
            stub = kms_pb2_grpc.KeyManagementServiceStub(channel)  # type: ignore[no-untyped-call]
            try:
                return getattr(stub, method)(request, timeout=self._timeout_s, wait_for_ready=True)
            except grpc.RpcError as error:
                code = error.code().name if isinstance(error, grpc.Call) else "UNKNOWN"
                raise KeyServiceError(f"the plug-in {self.name} does not answer {method}: {code}") from None
