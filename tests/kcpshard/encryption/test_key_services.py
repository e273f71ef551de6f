from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from kcpshard.encryption.configuration import KmsPlugin, LocalKey
from kcpshard.encryption.key_services import KeyServiceError, key_service
from kcpshard.rpc import kms_pb2, kms_pb2_grpc


class Plugin(kms_pb2_grpc.KeyManagementServiceServicer):
    """A KMS plug-in that turns bytes around."""

    def __init__(self) -> None:
        self.key_id, self.healthz = "1", "ok"

    def Status(self, request: Any, context: Any) -> Any:
        return kms_pb2.StatusResponse(version="v2", healthz=self.healthz, key_id=self.key_id)

    def Encrypt(self, request: Any, context: Any) -> Any:
        annotations = {"how.example.dev": b"turned"}
        return kms_pb2.EncryptResponse(ciphertext=request.plaintext[::-1], key_id=self.key_id, annotations=annotations)

    def Decrypt(self, request: Any, context: Any) -> Any:
        if request.annotations["how.example.dev"] != b"turned" or not request.uid:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "secret detail")
        return kms_pb2.DecryptResponse(plaintext=request.ciphertext[::-1])


@pytest.fixture
def plugin() -> Plugin:
    return Plugin()


@pytest.fixture
def endpoint(plugin: Plugin, tmp_path: Path) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(1))
    kms_pb2_grpc.add_KeyManagementServiceServicer_to_server(plugin, server)
    path = tmp_path / "kms.sock"
    server.add_insecure_port(f"unix:{path}")
    server.start()
    yield f"unix://{path}"
    server.stop(None).wait()


def test_a_plug_in_wraps_and_unwraps(plugin: Plugin, endpoint: str) -> None:
    service = key_service(KmsPlugin("k", endpoint, 5.0))
    wrapped = service.wrap(b"data key")
    assert (wrapped.ciphertext, wrapped.key_id) == (b"yek atad", "1")
    assert service.unwrap(wrapped) == b"data key"
    plugin.key_id = "2"
    assert service.current_key_id() == "2" and service.name == "kms/k"


def test_what_a_plug_in_refuses_is_told_without_its_words(plugin: Plugin, endpoint: str) -> None:
    service = key_service(KmsPlugin("k", endpoint, 5.0))
    with pytest.raises(KeyServiceError, match="kms/k does not answer Decrypt: INVALID_ARGUMENT") as raised:
        service.unwrap(service.wrap(b"x")._replace(annotations={}))
    assert "secret" not in str(raised.value)
    plugin.healthz = "bad"
    with pytest.raises(KeyServiceError, match="not healthy"):
        service.current_key_id()


def test_a_plug_in_that_is_not_there(tmp_path: Path) -> None:
    service = key_service(KmsPlugin("k", f"unix://{tmp_path}/none.sock", 0.1))
    with pytest.raises(KeyServiceError, match="does not answer Encrypt"):
        service.wrap(b"x")


def test_a_local_key_wraps_and_unwraps() -> None:
    service = key_service(LocalKey("a", bytes(32)))
    wrapped = service.wrap(b"data key")
    assert service.unwrap(wrapped) == b"data key" and b"data key" not in wrapped.ciphertext
    assert service.current_key_id() == ""
