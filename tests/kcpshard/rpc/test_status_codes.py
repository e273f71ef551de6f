"""The table between API errors and gRPC codes, there and back."""

import grpc
import grpc.aio
import pytest

from kcpshard.api import errors
from kcpshard.rpc.status_codes import _CODES, api_error, grpc_code


def failure(code: grpc.StatusCode, details: str) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)


@pytest.mark.parametrize(("kind", "code"), _CODES)
def test_there_and_back(kind: type[errors.ApiError], code: grpc.StatusCode) -> None:
    assert grpc_code(kind("why")) is code
    back = api_error(failure(code, "why"))
    assert type(back) is kind
    assert back.message == "why"


def test_codes_are_used_once() -> None:
    assert len({code for _, code in _CODES}) == len(_CODES)


def test_what_is_not_in_the_table() -> None:
    assert grpc_code(errors.NotAcceptable("x")) is grpc.StatusCode.UNKNOWN
    assert type(api_error(failure(grpc.StatusCode.DATA_LOSS, ""))) is errors.InternalError
