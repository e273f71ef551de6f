"""Calls that are answered are tested with the service, tests/kcpshard/test_placement_service.py."""

import grpc
import pytest

from kcpshard.rpc.placement_client import NotKeeper, Refused, Unreachable, connect, translate

WANTED: dict[grpc.StatusCode, type[Exception]] = {
    grpc.StatusCode.ABORTED: NotKeeper,
    grpc.StatusCode.FAILED_PRECONDITION: Refused,
    grpc.StatusCode.INVALID_ARGUMENT: Refused,
    grpc.StatusCode.PERMISSION_DENIED: Refused,
    grpc.StatusCode.UNAUTHENTICATED: Refused,
}


@pytest.mark.parametrize("code", list(grpc.StatusCode), ids=lambda code: code.name)
def test_every_code_has_a_next_step(code: grpc.StatusCode) -> None:
    error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "a sentence")
    found = translate(error)
    assert type(found) is WANTED.get(code, Unreachable)
    assert "a sentence" in str(found)


def test_an_address_without_credentials_is_refused() -> None:
    def dial(address: str) -> None:
        raise ValueError("no certificate")

    with pytest.raises(Refused, match="no certificate"):
        connect(dial, "host:1")
