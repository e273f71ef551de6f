"""ApiError ↔ gRPC status, one table, for the unary services. Session answers carry a Kubernetes Status instead."""

import grpc
import grpc.aio

from kcpshard.api import errors

_CODES: tuple[tuple[type[errors.ApiError], grpc.StatusCode], ...] = (
    (errors.BadRequest, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.Unauthorized, grpc.StatusCode.UNAUTHENTICATED),
    (errors.Forbidden, grpc.StatusCode.PERMISSION_DENIED),
    (errors.NotFound, grpc.StatusCode.NOT_FOUND),
    (errors.MethodNotAllowed, grpc.StatusCode.UNIMPLEMENTED),
    (errors.AlreadyExists, grpc.StatusCode.ALREADY_EXISTS),
    (errors.Conflict, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.Expired, grpc.StatusCode.OUT_OF_RANGE),
    (errors.TooManyRequests, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.ServiceUnavailable, grpc.StatusCode.UNAVAILABLE),
    (errors.Timeout, grpc.StatusCode.DEADLINE_EXCEEDED),
    (errors.InternalError, grpc.StatusCode.INTERNAL),
)
_BY_CLASS = dict(_CODES)
_BY_CODE = {code: kind for kind, code in _CODES}


def grpc_code(error: errors.ApiError) -> grpc.StatusCode:
    """The nearest ancestor's code; UNKNOWN for an error that no unary method gives."""
    for kind in type(error).__mro__:
        if kind in _BY_CLASS:
            return _BY_CLASS[kind]
    return grpc.StatusCode.UNKNOWN


def api_error(failure: grpc.aio.AioRpcError) -> errors.ApiError:
    """What the caller of a unary method raises."""
    kind = _BY_CODE.get(failure.code(), errors.InternalError)
    return kind(failure.details() or failure.code().name)
