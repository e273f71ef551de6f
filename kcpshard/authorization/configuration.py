"""Who is asked for permission, in which order: kube-apiserver's AuthorizationConfiguration, read from a file.

Without one RBAC decides alone. What of a configuration is not supported is refused with a sentence, not passed over.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kcpshard.callouts.kubeconfig import InvalidKubeconfig, read_document, read_kubeconfig
from kcpshard.callouts.targets import ClientConfig

RBAC, NODE = "RBAC", "Node"
_VERSIONS = ("apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v1beta1")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_MAX_TIMEOUT_S = 30.0


class InvalidConfiguration(ValueError):
    """The text is one sentence for the operator."""


class WebhookSettings(NamedTuple):
    name: str
    client: ClientConfig
    token: str  # "" for none
    timeout_s: float
    authorized_ttl_s: float
    unauthorized_ttl_s: float
    denies_on_failure: bool


Step = str | WebhookSettings  # RBAC, NODE or a webhook


def read_configuration(path: str) -> Sequence[Step]:
    """Raises InvalidConfiguration."""
    try:
        document = read_document(path)
    except InvalidKubeconfig as error:
        raise InvalidConfiguration(str(error)) from None
    if document.get("apiVersion") not in _VERSIONS or document.get("kind") != "AuthorizationConfiguration":
        raise InvalidConfiguration(f"{path} is not an AuthorizationConfiguration of {_VERSIONS[0]}")
    steps = [_step(each, path) for each in document.get("authorizers") or ()]
    names = [step if isinstance(step, str) else step.name for step in steps]
    if not steps or len(set(names)) != len(names):
        raise InvalidConfiguration(f"{path} must name at least one authorizer, each once")
    return steps


def _step(given: Mapping[str, Any], path: str) -> Step:
    match given.get("type"):
        case "RBAC" | "Node" as known:
            return str(known)
        case "Webhook":
            return _webhook(given.get("name") or "", given.get("webhook") or {}, path)
        case other:
            raise InvalidConfiguration(
                f"{path}: authorizers of type {other!r} are not supported, only Node, RBAC and Webhook"
            )


def _webhook(name: str, given: Mapping[str, Any], path: str) -> WebhookSettings:
    where = f"{path}: webhook {name!r}"
    if not name:
        raise InvalidConfiguration(f"{path}: a webhook has no name")
    if given.get("matchConditions"):
        raise InvalidConfiguration(f"{where}: matchConditions are not supported")
    if given.get("subjectAccessReviewVersion") != "v1":
        raise InvalidConfiguration(f"{where}: subjectAccessReviewVersion must be v1")
    policy = given.get("failurePolicy")
    if policy not in ("NoOpinion", "Deny"):
        raise InvalidConfiguration(f"{where}: failurePolicy must be NoOpinion or Deny")
    connection = given.get("connectionInfo") or {}
    if connection.get("type") != "KubeConfigFile" or not connection.get("kubeConfigFile"):
        raise InvalidConfiguration(f"{where}: connectionInfo must be of type KubeConfigFile and name the file")
    timeout_s = _seconds(given.get("timeout"), f"{where}: timeout")
    if not 0 < timeout_s <= _MAX_TIMEOUT_S:
        raise InvalidConfiguration(f"{where}: timeout must be above 0 and at most 30s")
    try:
        client, token = read_kubeconfig(connection["kubeConfigFile"])
    except InvalidKubeconfig as error:
        raise InvalidConfiguration(str(error)) from None
    return WebhookSettings(
        name,
        client,
        token,
        timeout_s,
        _seconds(given.get("authorizedTTL") or "5m", f"{where}: authorizedTTL"),
        _seconds(given.get("unauthorizedTTL") or "30s", f"{where}: unauthorizedTTL"),
        policy == "Deny",
    )


def _seconds(text: object, what: str) -> float:
    found = _DURATION.findall(text) if isinstance(text, str) else []
    if not found or "".join(number + unit for number, unit in found) != text:
        raise InvalidConfiguration(f"{what} is not a duration such as 3s")
    return float(sum(float(number) * _UNITS[unit] for number, unit in found))
