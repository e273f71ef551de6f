"""CertificateSigningRequest: its spec never changes, approval and status have a subresource each."""

import base64
import re
from collections.abc import Iterator
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from kcpshard.api.errors import FieldError, duplicate, forbidden, invalid, required
from kcpshard.api.names import dns_subdomain_faults
from kcpshard.api.requests import Identity
from kcpshard.definitions.contract import Object
from kcpshard.definitions.naming import one_of
from kcpshard.definitions.strategies import Rules, keep, keep_all_but

_PATH = "status.conditions"
_DECISIONS = ("Approved", "Denied")
_FINAL = (*_DECISIONS, "Failed")
_PEM = re.compile(rb"-----BEGIN CERTIFICATE REQUEST-----\s.*?-----END CERTIFICATE REQUEST-----", re.DOTALL)
_PEM_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----\s.*?-----END CERTIFICATE-----", re.DOTALL)
_USAGES = (
    "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment",
    "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel",
    "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime",
    "server auth", "signing", "timestamping",
)  # fmt: skip
_LEGACY_SIGNER = "kubernetes.io/legacy-unknown"
_MIN_EXPIRATION_S = 600


def _attribute(obj: Object, identity: Identity) -> None:
    """Who asks is what the server knows, not what the request claims."""
    spec = obj.setdefault("spec", {})
    claimed = {
        "username": identity.username,
        "uid": identity.uid,
        "groups": list(identity.groups),
        "extra": {name: list(values) for name, values in identity.extra.items()},
    }
    for member, value in claimed.items():
        spec.pop(member, None)
        if value:
            spec[member] = value


def _prepare_create(obj: Object) -> None:
    obj["status"] = {}


def _prepare_update(new: Object, old: Object) -> None:
    keep(new, old, "spec")
    keep(new, old, "status")


def _prepare_approval(new: Object, old: Object) -> None:
    """Of the status, only the conditions."""
    keep_all_but(new, old, "status")
    conditions = (new.get("status") or {}).get("conditions")
    new["status"] = {**(old.get("status") or {}), "conditions": conditions or []}
    _finish_conditions(new, old)


def _prepare_status(new: Object, old: Object) -> None:
    keep_all_but(new, old, "status")
    new["status"] = dict(new.get("status") or {})
    _finish_conditions(new, old)


def _finish_conditions(new: Object, old: Object) -> None:
    """Times that nobody set are now; a condition that stays as it was keeps the time of its last transition."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    known = {(c["type"], c["status"]): c.get("lastTransitionTime") for c in _conditions(old)}
    conditions = new["status"].pop("conditions", None) or []
    for condition in conditions:
        condition["lastUpdateTime"] = condition.get("lastUpdateTime") or now
        if not condition.get("lastTransitionTime"):
            condition["lastTransitionTime"] = known.get((condition["type"], condition["status"])) or now
    if conditions:
        new["status"]["conditions"] = conditions


def _conditions(obj: Object) -> list[Object]:
    return (obj.get("status") or {}).get("conditions") or []


def _spec_faults(obj: Object) -> Iterator[FieldError]:
    spec = obj["spec"]
    yield from _request_faults(spec.get("request"))
    usages = spec.get("usages") or []
    if not usages:
        yield required("spec.usages")
    seen = set()
    for place, usage in enumerate(usages):
        yield from one_of(f"spec.usages[{place}]", usage, _USAGES)
        if usage in seen:
            yield duplicate(f"spec.usages[{place}]", usage)
        seen.add(usage)
    if spec["signerName"] == _LEGACY_SIGNER:
        yield invalid("spec.signerName", _LEGACY_SIGNER, "the legacy signerName is not allowed via this API version")
    else:
        yield from signer_name_faults(spec["signerName"])
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < _MIN_EXPIRATION_S:
        text = "may not specify a duration less than 600 seconds (10 minutes)"
        yield invalid("spec.expirationSeconds", seconds, text)


def _request_faults(request: str | None) -> Iterator[FieldError]:
    found = _PEM.search(base64.b64decode(request or ""))
    if found is None:
        yield invalid("spec.request", request, "PEM block type must be CERTIFICATE REQUEST")
        return
    try:
        parsed = x509.load_pem_x509_csr(found[0])
        if not parsed.is_signature_valid:
            yield invalid("spec.request", request, "x509: the signature of the request is not valid")
    except (ValueError, UnsupportedAlgorithm):
        yield invalid("spec.request", request, "x509: malformed certificate request")


def signer_name_faults(name: str) -> Iterator[FieldError]:
    path = "spec.signerName"
    if not name:
        yield required(path)
        return
    domain, slash, rest = name.partition("/")
    if not slash or "/" in rest:
        text = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        yield invalid(path, name, text)
        return
    faults = dns_subdomain_faults(domain)
    yield from (invalid(path, domain, f"validating domain: {text}") for text in faults)
    if not faults and "." not in domain:
        yield invalid(path, domain, "should be a domain with at least two segments separated by dots")
    for label in rest.split("."):
        yield from (invalid(path, label, f'validating label "{label}": {t}') for t in dns_subdomain_faults(label))


def _condition_faults(obj: Object) -> Iterator[FieldError]:
    seen: set[str] = set()
    for place, condition in enumerate(_conditions(obj)):
        kind, path = condition["type"], f"{_PATH}[{place}]"
        if not kind:
            yield required(f"{path}.type")
        if kind in _FINAL:
            yield from one_of(f"{path}.status", condition["status"], ("True",))
        elif not condition["status"]:
            yield required(f"{path}.status")
        else:
            yield from one_of(f"{path}.status", condition["status"], ("False", "True", "Unknown"))
        if kind in seen:
            yield duplicate(f"{path}.type", kind)
        seen.add(kind)
        if kind in _DECISIONS and set(_DECISIONS) <= seen:
            yield invalid(_PATH, kind, "Approved and Denied conditions are mutually exclusive")


def _certificate_faults(obj: Object) -> Iterator[FieldError]:
    certificate = (obj.get("status") or {}).get("certificate")
    if certificate and not _PEM_CERTIFICATE.search(base64.b64decode(certificate)):
        text = "must contain at least one CERTIFICATE PEM block"
        yield invalid("status.certificate", "<certificate data>", text)


def _changed_conditions(new: Object, old: Object, addable: tuple[str, ...]) -> Iterator[FieldError]:
    now, before = ([c["type"] for c in _conditions(o)] for o in (new, old))
    for kind in _FINAL:
        if kind in before and kind not in now:
            yield forbidden(_PATH, f'updates may not remove a condition of type "{kind}"')
        if kind in now and kind not in before and kind not in addable:
            yield forbidden(_PATH, f'updates may not add a condition of type "{kind}"')


def _approval(new: Object, old: Object) -> Iterator[FieldError]:
    yield from _condition_faults(new)
    yield from _changed_conditions(new, old, _FINAL)


def _status(new: Object, old: Object) -> Iterator[FieldError]:
    yield from _certificate_faults(new)
    yield from _condition_faults(new)
    yield from _changed_conditions(new, old, ("Failed",))
    had = (old.get("status") or {}).get("certificate")
    if had and (new.get("status") or {}).get("certificate") != had:
        yield forbidden("status.certificate", "updates may not modify existing certificate content")


ROWS = {
    ("certificates.k8s.io", "CertificateSigningRequest"): Rules(
        attribute=_attribute,
        prepare_create=(_prepare_create,),
        prepare_update={"": _prepare_update, "approval": _prepare_approval, "status": _prepare_status},
        validate_create=(_spec_faults,),
        validate_subresource={"approval": (_approval,), "status": (_status,)},
        fields=(("spec.signerName", ("spec", "signerName")),),
    )
}
