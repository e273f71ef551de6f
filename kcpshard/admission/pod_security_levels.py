"""What a namespace's labels ask of its pods: Pod Security Standards to enforce, to record and to warn of. Pure."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from kcpshard.api.errors import FieldError, invalid

PREFIX = "pod-security.kubernetes.io/"
PRIVILEGED, BASELINE, RESTRICTED = LEVELS = ("privileged", "baseline", "restricted")  # ever stricter
LATEST = 1 << 63  # no version is that large
_VERSION = re.compile(r"v1\.(0|[1-9][0-9]*)")


class Standard(NamedTuple):
    """A level as of a minor version of Kubernetes 1."""

    level: str = PRIVILEGED
    minor: int = LATEST

    def __str__(self) -> str:
        return f"{self.level}:{'latest' if self.minor == LATEST else f'v1.{self.minor}'}"

    def is_stricter_than(self, other: "Standard") -> bool:
        return LEVELS.index(self.level) > LEVELS.index(other.level)


class Policy(NamedTuple):
    enforce: Standard = Standard()
    audit: Standard = Standard()
    warn: Standard = Standard()

    @property
    def is_privileged(self) -> bool:
        return self.enforce.level == self.audit.level == self.warn.level == PRIVILEGED


DEFAULT = Policy()


def policy_of(labels: Mapping[str, str]) -> tuple[Policy, list[FieldError]]:
    """What counts, and what is wrong with the labels. An unknown level of `enforce` counts as the strictest, one of
    `audit` and `warn` as the most lenient."""
    if not any(key.startswith(PREFIX) for key in labels):
        return DEFAULT, []
    faults: list[FieldError] = []
    enforce = _standard(labels, "enforce", RESTRICTED, faults)
    audit = _standard(labels, "audit", PRIVILEGED, faults)
    warn = _standard(labels, "warn", PRIVILEGED, faults)
    is_known = labels.get(PREFIX + "enforce") in LEVELS
    if PREFIX + "warn" not in labels and is_known and enforce.is_stricter_than(warn):
        # Who asks to enforce is warned of workloads whose pods will be refused.
        warn = Standard(enforce.level, warn.minor if PREFIX + "warn-version" in labels else enforce.minor)
    return Policy(enforce, audit, warn), faults


def _standard(labels: Mapping[str, str], mode: str, unknown: str, faults: list[FieldError]) -> Standard:
    level, version = labels.get(PREFIX + mode), labels.get(f"{PREFIX}{mode}-version")
    found, minor = PRIVILEGED, LATEST
    if level is not None:
        found = level if level in LEVELS else unknown
        if level not in LEVELS:
            faults.append(_fault(mode, level, f"must be one of {', '.join(LEVELS)}"))
    if version is not None and version != "latest":
        matched = _VERSION.fullmatch(version)
        if matched and int(matched[1]) < LATEST:
            minor = int(matched[1])
        else:
            faults.append(_fault(f"{mode}-version", version, 'must be "latest" or "v1.x"'))
    return Standard(found, minor)


def _fault(label: str, value: str, detail: str) -> FieldError:
    return invalid(f"metadata.labels[{PREFIX}{label}]", value, detail)
