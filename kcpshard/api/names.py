"""Names of logical clusters and objects: which are legal, and the words that say why not.

Sources: RFC 1123 (labels, subdomains), RFC 1035, k8s.io/apimachinery `validation` for the sentences.
"""

import re
from ipaddress import ip_address
from typing import NewType

ClusterPath = NewType("ClusterPath", str)
ROOT = ClusterPath("root")
WILDCARD = ClusterPath("*")

_SEGMENT = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
MAX_SEGMENT, MAX_PATH = 63, 253

# Kubernetes' own API groups with a name, and ours: a logical cluster may not give them to another server, whatever it
# serves.
KUBERNETES_GROUPS = frozenset((
    "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "apps", "authentication.k8s.io",
    "authorization.k8s.io", "autoscaling", "batch", "certificates.k8s.io", "coordination.k8s.io", "discovery.k8s.io",
    "events.k8s.io", "flowcontrol.apiserver.k8s.io", "networking.k8s.io", "node.k8s.io", "policy",
    "rbac.authorization.k8s.io", "resource.k8s.io", "scheduling.k8s.io", "storage.k8s.io",
    "changes.kcp.io",
    # And kcp's.
    "apis.kcp.io", "core.kcp.io", "tenancy.kcp.io",
))  # fmt: skip


def cluster_path(text: str) -> ClusterPath | None:
    """The path of a logical cluster, or None if `text` is not one. `*` is not a path; see WILDCARD."""
    if not text or len(text) > MAX_PATH:
        return None
    for segment in text.split(":"):
        if len(segment) > MAX_SEGMENT or not _SEGMENT.fullmatch(segment):
            return None
    return ClusterPath(text)


def wildcard(text: str) -> ClusterPath | None:
    """`*`, or `root:org:*` for what lies below root:org; None if `text` is neither."""
    if text == WILDCARD:
        return WILDCARD
    head, colon, last = text.rpartition(":")
    return ClusterPath(text) if colon and last == WILDCARD and cluster_path(head) is not None else None


def is_wildcard(path: str) -> bool:
    """Whether it stands for many logical clusters; `path` is a path or a wildcard."""
    return path[-1:] == WILDCARD


def covers(pattern: str, path: str) -> bool:
    """Whether a wildcard stands for that logical cluster too; a path for itself alone. None stands for the
    installation's own (`system:`)."""
    is_covered = path.startswith(pattern[:-1]) if is_wildcard(pattern) else path == pattern
    return is_covered and not path.startswith("system:")


def parent_path(path: ClusterPath) -> ClusterPath | None:
    head, found, _ = path.rpartition(":")
    return ClusterPath(head) if found else None


_DNS_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_DNS_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def dns_label_faults(value: str) -> list[str]:
    """IsDNS1123Label: why `value` is not a label; empty if it is."""
    faults = [] if len(value) <= 63 else ["must be no more than 63 characters"]
    return faults if _SEGMENT.fullmatch(value) else [*faults, _DNS_LABEL_TEXT]


def dns_subdomain_faults(value: str) -> list[str]:
    """IsDNS1123Subdomain."""
    faults = [] if len(value) <= 253 else ["must be no more than 253 characters"]
    return faults if _SUBDOMAIN.fullmatch(value) else [*faults, _DNS_SUBDOMAIN_TEXT]


def path_segment_faults(value: str) -> list[str]:
    """IsValidPathSegmentName: names of RBAC objects and the like."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{c}'" for c in "/%" if c in value]


def ip_address_faults(value: str) -> list[str]:
    """IsValidIP: an object's name that is an address."""
    try:
        found = None if "%" in value else ip_address(value)
    except ValueError:
        found = None
    if found is None:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    if getattr(found, "ipv4_mapped", None) is not None:
        return ["must not be an IPv4-mapped IPv6 address"]
    return [] if str(found) == value else [f'must be in canonical form ("{found}")']
