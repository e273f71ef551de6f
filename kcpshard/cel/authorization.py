"""The library `authorizer`: what expressions may ask about what a user may do.

Builds the question; who answers it is given with the authorizer. An answer is kept for the rest of one evaluation of
all expressions of a request, for each costs a third of what an expression may cost.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from kcpshard.api.names import dns_label_faults, dns_subdomain_faults
from kcpshard.api.requests import Identity
from kcpshard.cel.values import EvalFault


class Decision(NamedTuple):
    """What `check` gives. `error` is empty unless the question could not be answered."""

    is_allowed: bool
    reason: str = ""
    error: str = ""


class Question(NamedTuple):
    """Whether `identity` may do `verb`: to a path, or (path empty) to a resource."""

    identity: Identity
    verb: str
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""


Decide = Callable[[Question], Decision]


class Authorizer(NamedTuple):
    identity: Identity
    decide: Decide


class PathCheck(NamedTuple):
    authorizer: Authorizer
    path: str


class GroupCheck(NamedTuple):
    authorizer: Authorizer
    group: str


class ResourceCheck(NamedTuple):
    authorizer: Authorizer
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""


def _path(authorizer: Authorizer, path: str) -> PathCheck:
    if not path.strip():
        raise EvalFault("path must not be empty")
    return PathCheck(authorizer, path)


def _resource(check: GroupCheck, resource: str) -> ResourceCheck:
    if not resource.strip():
        raise EvalFault("resource must not be empty")
    return ResourceCheck(check.authorizer, check.group, resource)


def service_account(namespace: str, name: str) -> Identity:
    """Who a service account is to authorisation."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return Identity(f"system:serviceaccount:{namespace}:{name}", "", groups)


def _service_account(authorizer: Authorizer, namespace: str, name: str) -> Authorizer:
    if dns_subdomain_faults(name):
        raise EvalFault("Invalid service account name")
    if dns_label_faults(namespace):
        raise EvalFault("Invalid service account namespace")
    return Authorizer(service_account(namespace, name), authorizer.decide)


def _check(check: PathCheck | ResourceCheck, verb: str) -> Decision:
    identity, decide = check.authorizer
    if isinstance(check, PathCheck):
        return decide(Question(identity, verb, check.path))
    return decide(Question(identity, verb, "", *check[1:]))


def _is(kind: type, function: Callable[..., Any]) -> Callable[..., Any]:
    """After `dyn` anything may come."""

    def call(receiver: Any, *arguments: Any) -> Any:
        if not isinstance(receiver, kind) or not all(isinstance(a, str) for a in arguments):
            raise EvalFault("no such overload")
        return function(receiver, *arguments)

    return call


def _checked(receiver: Any, verb: Any) -> Decision:
    if not isinstance(receiver, PathCheck | ResourceCheck) or not isinstance(verb, str):
        raise EvalFault("no such overload")
    return _check(receiver, verb)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "path": _is(Authorizer, _path),
    "group": _is(Authorizer, GroupCheck),
    "serviceAccount": _is(Authorizer, _service_account),
    "resource": _is(GroupCheck, _resource),
    "subresource": _is(ResourceCheck, lambda c, v: c._replace(subresource=v)),
    "namespace": _is(ResourceCheck, lambda c, v: c._replace(namespace=v)),
    "name": _is(ResourceCheck, lambda c, v: c._replace(name=v)),
    "fieldSelector": _is(ResourceCheck, lambda c, v: c._replace(field_selector=v)),
    "labelSelector": _is(ResourceCheck, lambda c, v: c._replace(label_selector=v)),
    "check": _checked,
    "errored": _is(Decision, lambda d: bool(d.error)),
    "error": _is(Decision, lambda d: d.error),
    "allowed": _is(Decision, lambda d: d.is_allowed),
    "reason": _is(Decision, lambda d: d.reason),
}
