"""kube-apiserver's AuthenticationConfiguration: which issuers are believed, what their claims make of a user, and who
may be anonymous where. Pure: a document in; what it means, or every fault in it, out.
"""

import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from kcpfront.authentication.claim_expressions import CLAIMS, USER, Expression, compile_expression
from kcpshard.api.errors import FieldError, duplicate, invalid, not_supported, required, too_many
from kcpshard.api.names import dns_subdomain_faults
from kcpshard.cel.checking import CompileFault

VERSIONS = ("apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v1beta1")
KIND = "AuthenticationConfiguration"
MAX_ISSUERS = 64
_RESERVED = ("k8s.io", "kubernetes.io")
_PATH = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+")


class InvalidConfiguration(ValueError):
    """The text is one sentence for the operator, which names each field that is wrong."""


class Source(NamedTuple):
    """Where one thing about a user comes from: a claim with a prefix, or an expression; neither: it is not mapped."""

    claim: str = ""
    prefix: str = ""
    expression: Expression | None = None


class Rule(NamedTuple):
    """One of `claim` (must be `required_value`) and `expression` (must be true)."""

    claim: str = ""
    required_value: str = ""
    expression: Expression | None = None
    message: str = ""


class Issuer(NamedTuple):
    url: str
    discovery_url: str  # "" for the usual place below `url`
    authority: bytes  # PEM; empty for the machine's roots
    audiences: frozenset[str]
    username: Source
    groups: Source
    uid: Source
    extra: Mapping[str, Expression]
    claim_rules: Sequence[Rule]
    user_rules: Sequence[Rule]


class Configuration(NamedTuple):
    issuers: Sequence[Issuer] = ()
    anonymous: bool | None = None  # None: not said
    anonymous_paths: frozenset[str] | None = None  # None: all


def read_configuration(document: object, reserved_issuers: Sequence[str] = ()) -> Configuration:
    """Raises InvalidConfiguration."""
    if not isinstance(document, dict) or document.get("kind") != KIND or document.get("apiVersion") not in VERSIONS:
        raise InvalidConfiguration(f"it is not an {KIND} of {VERSIONS[0]} or {VERSIONS[1].rpartition('/')[2]}")
    reader = _Reader(reserved_issuers)
    made = reader.configuration(document)
    if reader.faults:
        raise InvalidConfiguration("; ".join(map(str, reader.faults)))
    return made


class _Reader:
    """Goes on after a fault, so that all are told; what it returns then is worth nothing."""

    def __init__(self, reserved_issuers: Sequence[str]) -> None:
        self.faults: list[FieldError] = []
        self._reserved = reserved_issuers

    def configuration(self, document: Mapping[str, Any]) -> Configuration:
        self._known(document, "", ("kind", "apiVersion", "jwt", "anonymous"))
        given = self._objects(document, "jwt", "")
        if len(given) > MAX_ISSUERS:
            self.faults.append(too_many("jwt", len(given), MAX_ISSUERS))
            return Configuration()
        issuers = [self._issuer(each, path) for path, each in given]
        for member in ("url", "discovery_url"):
            shown = "url" if member == "url" else "discoveryURL"
            seen: set[str] = set()
            for place, each in enumerate(issuers):
                value = getattr(each, member)
                if value and value in seen:
                    self.faults.append(duplicate(f"jwt[{place}].issuer.{shown}", value))
                seen.add(value)
        anonymous, paths = self._anonymous(self._object(document, "anonymous", ""))
        return Configuration(tuple(issuers), anonymous, paths)

    def _anonymous(self, given: Mapping[str, Any] | None) -> tuple[bool | None, frozenset[str] | None]:
        if given is None:
            return None, None
        self._known(given, "anonymous", ("enabled", "conditions"))
        enabled = given.get("enabled", False)
        if not isinstance(enabled, bool):
            self.faults.append(invalid("anonymous.enabled", enabled, "must be true or false"))
        conditions = self._objects(given, "conditions", "anonymous")
        paths = set()
        for path, each in conditions:
            self._known(each, path, ("path",))
            paths.add(self._text(each, "path", path))
            if not each.get("path"):
                self.faults.append(required(f"{path}.path"))
        if conditions and not enabled:
            detail = "enabled should be set to true when conditions are defined"
            self.faults.append(invalid("anonymous.conditions", given["conditions"], detail))
        return bool(enabled), frozenset(paths) if conditions else None

    def _issuer(self, given: Mapping[str, Any], path: str) -> Issuer:
        self._known(given, path, ("issuer", "claimValidationRules", "claimMappings", "userValidationRules"))
        mappings = self._object(given, "claimMappings", path) or {}
        at = f"{path}.claimMappings"
        self._known(mappings, at, ("username", "groups", "uid", "extra"))
        claim_rules = self._claim_rules(self._objects(given, "claimValidationRules", path))
        username = self._source(mappings, "username", at, needed=True)
        made = Issuer(
            *self._connection(self._object(given, "issuer", path) or {}, f"{path}.issuer"),
            username,
            self._source(mappings, "groups", at),
            self._source(mappings, "uid", at, prefixed=False),
            self._extra(self._objects(mappings, "extra", at)),
            claim_rules,
            self._user_rules(self._objects(given, "userValidationRules", path)),
        )
        self._check_email(made, f"{at}.username.expression")
        return made

    def _connection(self, given: Mapping[str, Any], path: str) -> tuple[str, str, bytes, frozenset[str]]:
        members = ("url", "discoveryURL", "certificateAuthority", "audiences", "audienceMatchPolicy")
        self._known(given, path, (*members, "egressSelectorType"))
        if given.get("egressSelectorType"):
            self.faults.append(FieldError(f"{path}.egressSelectorType", "", "is not supported: fronts call directly"))
        url, discovery = self._text(given, "url", path), self._text(given, "discoveryURL", path)
        if not url:
            self.faults.append(required(f"{path}.url"))
        else:
            self._check_url(url, f"{path}.url", self._reserved)
        if discovery:
            if url.rstrip("/") == discovery.rstrip("/"):
                self.faults.append(
                    invalid(f"{path}.discoveryURL", discovery, "discoveryURL must be different from URL")
                )
            self._check_url(discovery, f"{path}.discoveryURL")
        authority = self._text(given, "certificateAuthority", path)
        if authority and not _is_bundle(authority):
            detail = "data does not contain any valid RSA or ECDSA certificates"
            self.faults.append(invalid(f"{path}.certificateAuthority", "<omitted>", detail))
        return url, discovery, authority.encode(), self._audiences(given, path)

    def _check_url(self, url: str, path: str, reserved: Sequence[str] = ()) -> None:
        if url in reserved:
            shown = f"[{' '.join(sorted(reserved))}]"
            self.faults.append(invalid(path, url, f"URL must not overlap with disallowed issuers: {shown}"))
        try:
            parts = urlsplit(url)
            host = parts.hostname
        except ValueError as fault:
            self.faults.append(invalid(path, url, str(fault)))
            return
        if parts.scheme != "https" or not host:
            self.faults.append(invalid(path, url, "URL scheme must be https"))
        if parts.username is not None or parts.password is not None:
            self.faults.append(invalid(path, "<omitted>", "URL must not contain a username or password"))
        if parts.query:
            self.faults.append(invalid(path, url, "URL must not contain a query"))
        if parts.fragment:
            self.faults.append(invalid(path, url, "URL must not contain a fragment"))

    def _audiences(self, given: Mapping[str, Any], path: str) -> frozenset[str]:
        at, found = f"{path}.audiences", given.get("audiences") or []
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            self.faults.append(invalid(at, found, "must be a list of strings"))
            return frozenset()
        if not found:
            self.faults.append(required(at, f"at least one {at} is required"))
        for place, each in enumerate(found):
            if not each:
                self.faults.append(required(f"{at}[{place}]"))
            elif each in found[:place]:
                self.faults.append(duplicate(f"{at}[{place}]", each))
        policy = given.get("audienceMatchPolicy") or ""
        if len(found) > 1 and policy != "MatchAny":
            detail = "audienceMatchPolicy must be MatchAny for multiple audiences"
            self.faults.append(invalid(f"{path}.audienceMatchPolicy", policy, detail))
        elif policy not in ("", "MatchAny"):
            detail = "audienceMatchPolicy must be empty or MatchAny for single audience"
            self.faults.append(invalid(f"{path}.audienceMatchPolicy", policy, detail))
        return frozenset(found)

    def _source(
        self, mappings: Mapping[str, Any], member: str, path: str, needed: bool = False, prefixed: bool = True
    ) -> Source:
        at, given = f"{path}.{member}", self._object(mappings, member, path) or {}
        self._known(given, at, ("claim", "expression", *(("prefix",) if prefixed else ())))
        claim, expression = self._text(given, "claim", at), self._text(given, "expression", at)
        prefix = given.get("prefix")
        if claim and expression:
            self.faults.append(invalid(at, "", "claim and expression can't both be set"))
        elif expression:
            if prefix is not None:
                self.faults.append(invalid(f"{at}.prefix", prefix, "may not be specified when expression is set"))
            return Source(expression=self._compiled(expression, CLAIMS, f"{at}.expression"))
        elif claim:
            if prefixed and prefix is None:
                detail = "prefix is required when claim is set. It can be set to an empty string to disable prefixing"
                self.faults.append(required(f"{at}.prefix", detail))
            return Source(claim, self._text(given, "prefix", at))
        elif needed:
            self.faults.append(required(at, "claim or expression is required"))
        return Source()

    def _extra(self, given: Sequence[tuple[str, Mapping[str, Any]]]) -> Mapping[str, Expression]:
        found: dict[str, Expression] = {}
        for path, each in given:
            self._known(each, path, ("key", "valueExpression"))
            key, text = self._text(each, "key", path), self._text(each, "valueExpression", path)
            self.faults += _key_faults(key, f"{path}.key")
            if key in found:
                self.faults.append(duplicate(f"{path}.key", key))
            elif not text:
                self.faults.append(required(f"{path}.valueExpression"))
            elif compiled := self._compiled(text, CLAIMS, f"{path}.valueExpression"):
                found[key] = compiled
        return found

    def _claim_rules(self, given: Sequence[tuple[str, Mapping[str, Any]]]) -> Sequence[Rule]:
        found: list[Rule] = []
        seen: set[tuple[str, str]] = set()
        for path, each in given:
            self._known(each, path, ("claim", "requiredValue", "expression", "message"))
            claim, text = self._text(each, "claim", path), self._text(each, "expression", path)
            value, message = self._text(each, "requiredValue", path), self._text(each, "message", path)
            if claim and text:
                self.faults.append(invalid(path, claim, "claim and expression can't both be set"))
            elif not claim and not text:
                self.faults.append(required(path, "claim or expression is required"))
            elif (claim, text) in seen:
                self.faults.append(duplicate(f"{path}.{'claim' if claim else 'expression'}", claim or text))
            elif claim:
                if message:
                    self.faults.append(invalid(f"{path}.message", message, "may not be specified when claim is set"))
                found.append(Rule(claim, value))
            else:
                if value:
                    detail = "may not be specified when expression is set"
                    self.faults.append(invalid(f"{path}.requiredValue", value, detail))
                compiled = self._compiled(text, CLAIMS, f"{path}.expression", is_condition=True)
                found.append(Rule(expression=compiled, message=message))
            seen.add((claim, text))
        return tuple(found)

    def _user_rules(self, given: Sequence[tuple[str, Mapping[str, Any]]]) -> Sequence[Rule]:
        found: list[Rule] = []
        for path, each in given:
            self._known(each, path, ("expression", "message"))
            text = self._text(each, "expression", path)
            if not text:
                self.faults.append(required(f"{path}.expression"))
            elif any(rule.expression is not None and rule.expression.text == text for rule in found):
                self.faults.append(duplicate(f"{path}.expression", text))
            else:
                compiled = self._compiled(text, USER, f"{path}.expression", is_condition=True)
                found.append(Rule(expression=compiled, message=self._text(each, "message", path)))
        return tuple(found)

    def _check_email(self, issuer: Issuer, path: str) -> None:
        """Whoever may choose an address freely must not become somebody else by it."""
        username = issuer.username.expression
        if username is None or "email" not in username.selected:
            return
        rules = [rule.expression for rule in issuer.claim_rules if rule.expression is not None]
        if not any("email_verified" in each.selected for each in (username, *issuer.extra.values(), *rules)):
            detail = (
                "claims.email_verified must be used in claimMappings.username.expression or "
                "claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is "
                "used in claimMappings.username.expression"
            )
            self.faults.append(invalid(path, username.text, detail))

    # --- members

    def _compiled(self, text: str, variable: str, path: str, is_condition: bool = False) -> Expression | None:
        try:
            return compile_expression(text, variable, is_condition=is_condition)
        except CompileFault as fault:
            self.faults.append(invalid(path, text, str(fault)))
            return None

    def _known(self, given: Mapping[str, Any], path: str, members: Sequence[str]) -> None:
        """A misspelt rule must not be passed over."""
        for member in given:
            if member not in members:
                self.faults.append(not_supported(path or KIND, member, members))

    def _text(self, given: Mapping[str, Any], member: str, path: str) -> str:
        found = given.get(member)
        if found is None or isinstance(found, str):
            return found or ""
        self.faults.append(invalid(f"{path}.{member}", str(type(found).__name__), "must be a string"))
        return ""

    def _object(self, given: Mapping[str, Any], member: str, path: str) -> Mapping[str, Any] | None:
        found = given.get(member)
        if found is None or isinstance(found, dict):
            return found
        self.faults.append(invalid(f"{path}.{member}".lstrip("."), str(type(found).__name__), "must be an object"))
        return None

    def _objects(self, given: Mapping[str, Any], member: str, path: str) -> Sequence[tuple[str, Mapping[str, Any]]]:
        at, found = f"{path}.{member}".lstrip("."), given.get(member) or []
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            self.faults.append(invalid(at, str(type(found).__name__), "must be a list of objects"))
            return ()
        return tuple(_numbered(found, at))


def _numbered(found: Sequence[Mapping[str, Any]], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for place, each in enumerate(found):
        yield f"{path}[{place}]", each


def _key_faults(key: str, path: str) -> Iterator[FieldError]:
    """Why a key of `extra` is none: those without a domain, and Kubernetes' own, mean something to others."""
    domain, _, rest = key.partition("/")
    if not key:
        yield required(path)
    elif not domain or not rest:
        yield invalid(path, key, 'must be a domain-prefixed path (such as "acme.io/foo")')
    else:
        for sentence in dns_subdomain_faults(domain):
            yield invalid(path, domain, sentence)
        if not _PATH.fullmatch(rest):
            yield invalid(path, rest, f"Invalid path (regex used for validation is '{_PATH.pattern}')")
    if key != key.lower():
        yield invalid(path, key, "must be lowercase")
    if any(domain == each or domain.endswith(f".{each}") for each in _RESERVED):
        yield invalid(path, key, "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use")


def _is_bundle(text: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        return False
    return True
