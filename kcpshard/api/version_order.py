"""The order in which versions of a group are preferred (apimachinery `CompareKubeAwareVersionStrings`)."""

import re

_VERSION = re.compile(r"v([1-9][0-9]*)(?:(alpha|beta)([1-9][0-9]*))?")
_STABILITY = {"": 0, "beta": 1, "alpha": 2}


def version_priority(version: str) -> tuple[int, int, int, str]:
    """A sort key: v10, v2, v1, v2beta1, v1beta2, v1alpha1, then anything else by name."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return (3, 0, 0, version)
    major, stability, minor = match.groups()
    return (_STABILITY[stability or ""], -int(major), -int(minor or 0), "")
