"""Who is asked for permission, in which order: kube-apiserver's AuthorizationConfiguration, read from a file.

Without one RBAC decides alone. What of a configuration is not supported is refused with a sentence, not passed over.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kcpshard.authorization.match_conditions import MOST, MatchCondition, compile_condition
from kcpshard.callouts.kubeconfig import InvalidKubeconfig, read_document, read_kubeconfig
from kcpshard.callouts.targets import ClientConfig
from kcpshard.cel.checking import CompileFault

RBAC, NODE = "RBAC", "Node"
_VERSIONS = ("apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v1beta1")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_MAX_TIMEOUT_S = 30.0
_REVIEW_VERSIONS = ("v1", "v1beta1")


class InvalidConfiguration(ValueError):
    """The text is one sentence for the operator."""


class WebhookSettings(NamedTuple):
    """A TTL of 0: not remembered."""

    name: str
    client: ClientConfig
    token: str  # "" for none
    timeout_s: float
    authorized_ttl_s: float
    unauthorized_ttl_s: float
    denies_on_failure: bool
    conditions: tuple[MatchCondition, ...] = ()  # under which it is asked
    version: str = "v1"  # of the reviews that it gets


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
    version = given.get("subjectAccessReviewVersion")
    if version not in _REVIEW_VERSIONS:
        raise InvalidConfiguration(f"{where}: subjectAccessReviewVersion must be v1 or v1beta1")
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
        _kept_s(given, "Authorized", "5m", where),
        _kept_s(given, "Unauthorized", "30s", where),
        policy == "Deny",
        _conditions(given, where),
        version,
    )


def _kept_s(given: Mapping[str, Any], which: str, default: str, where: str) -> float:
    member = f"{which.lower()}TTL"
    found = _seconds(given.get(member) or default, f"{where}: {member}")
    if found <= 0:
        raise InvalidConfiguration(f"{where}: {member} must be > 0s")
    return found if given.get(f"cache{which}Requests") is not False else 0.0


def _conditions(given: Mapping[str, Any], where: str) -> tuple[MatchCondition, ...]:
    texts = [(each or {}).get("expression") or "" for each in given.get("matchConditions") or ()]
    version = given.get("matchConditionSubjectAccessReviewVersion")
    if version != "v1" and (texts or version):
        raise InvalidConfiguration(f"{where}: matchConditionSubjectAccessReviewVersion must be v1")
    if len(texts) > MOST:
        raise InvalidConfiguration(f"{where}: at most {MOST} matchConditions are allowed")
    if len(set(texts)) != len(texts):
        raise InvalidConfiguration(f"{where}: each of matchConditions must be another one")
    found = []
    for place, text in enumerate(texts):
        try:
            found.append(compile_condition(text))
        except CompileFault as fault:
            raise InvalidConfiguration(f"{where}: matchConditions[{place}].expression: {text!r}: {fault}") from None
    return tuple(found)


def _seconds(text: object, what: str) -> float:
    found = _DURATION.findall(text) if isinstance(text, str) else []
    if not found or "".join(number + unit for number, unit in found) != text:
        raise InvalidConfiguration(f"{what} is not a duration such as 3s")
    return float(sum(float(number) * _UNITS[unit] for number, unit in found))
