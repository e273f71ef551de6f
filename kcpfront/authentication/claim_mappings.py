"""The claims of a verified token → a user, in the words of kube-apiserver where something is wrong. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from kcpfront.authentication.claim_expressions import celled
from kcpfront.authentication.configuration import Issuer, Source
from kcpfront.authentication.credential import InvalidToken, authenticated
from kcpshard.api.requests import Identity
from kcpshard.api.service_accounts import CREDENTIAL_ID


def identity_of(claims: Mapping[str, Any], issuer: Issuer) -> Identity:
    """Raises InvalidToken: something is missing, of another type or against a rule; its text has no claim's value."""
    shown = celled(claims)
    username = _username(claims, shown, issuer.username)
    groups = _groups(claims, shown, issuer.groups)
    uid = _uid(claims, shown, issuer.uid)
    extra: dict[str, Sequence[str]] = {}
    if isinstance(jti := claims.get("jti"), str) and jti:
        extra[CREDENTIAL_ID] = [f"JTI={jti}"]
    for key, expression in issuer.extra.items():
        if values := _strings(expression.value(shown, f"extra {key}"), f"extra {key}"):
            extra[key] = values
    _check_claims(claims, shown, issuer)
    made = Identity(username, uid, tuple(groups), extra)
    user = {"username": username, "uid": uid, "groups": list(groups), "extra": extra}
    for rule in issuer.user_rules:
        if rule.expression is not None and rule.expression.value(user, "user info validation rule") is not True:
            raise _failed(rule.expression.text, rule.message)
    return authenticated(made)


def _username(claims: Mapping[str, Any], shown: Mapping[str, Any], source: Source) -> str:
    if source.expression is not None:
        found = source.expression.value(shown, "username claim expression")
        if not isinstance(found, str):
            raise InvalidToken("oidc: username claim expression must return a string")
        if not found:
            raise InvalidToken("oidc: empty username via CEL expression is not allowed")
        return found
    username = _claim(claims, source.claim, "username")
    if source.claim == "email" and claims.get("email_verified", True) is not True:
        raise InvalidToken("oidc: email not verified")
    if not source.prefix + username:
        raise InvalidToken("oidc: the username is empty")
    return source.prefix + username


def _groups(claims: Mapping[str, Any], shown: Mapping[str, Any], source: Source) -> Sequence[str]:
    if source.expression is not None:
        return _strings(source.expression.value(shown, "group claim expression"), "group claim")
    if not source.claim or source.claim not in claims:
        return ()
    found = claims[source.claim]
    if isinstance(found, str):
        found = [found]
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise InvalidToken(f'oidc: groups claim "{source.claim}" is neither a string nor a list of strings')
    return [source.prefix + each for each in found]


def _uid(claims: Mapping[str, Any], shown: Mapping[str, Any], source: Source) -> str:
    if source.expression is None:
        return _claim(claims, source.claim, "uid") if source.claim else ""
    found = source.expression.value(shown, "uid claim expression")
    if not isinstance(found, str):
        raise InvalidToken("oidc: uid claim expression must return a string")
    return found


def _claim(claims: Mapping[str, Any], name: str, what: str) -> str:
    found = claims.get(name)
    if found is None and name in claims:
        return ""  # as Go reads null
    if not isinstance(found, str):
        reason = "is not a string" if name in claims else "is not present"
        raise InvalidToken(f'oidc: {what} claim "{name}" {reason}')
    return found


def _strings(found: Any, what: str) -> Sequence[str]:
    """A string or a list of them; empty ones count as missing."""
    if found is None:
        return ()
    values = [found] if isinstance(found, str) else found
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise InvalidToken(f"oidc: {what} expression must return a string or a list of strings")
    return [each for each in values if each]


def _check_claims(claims: Mapping[str, Any], shown: Mapping[str, Any], issuer: Issuer) -> None:
    for rule in issuer.claim_rules:
        if rule.expression is not None:
            if rule.expression.value(shown, "claim validation expression") is not True:
                raise _failed(rule.expression.text, rule.message)
        elif rule.claim not in claims:
            raise InvalidToken(f"oidc: required claim {rule.claim} not present in ID token")
        elif claims[rule.claim] != rule.required_value:
            raise InvalidToken(f"oidc: required claim {rule.claim} value does not match")


def _failed(text: str, message: str) -> InvalidToken:
    return InvalidToken(f"oidc: validation expression '{text}' failed: {message}")
