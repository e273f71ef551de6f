"""Where a namespace of a logical cluster lives on a physical cluster. Pure.

One-to-one mapping lets tenants collide, and lets one reach the syncer's own namespace. So the downstream name is made
from both names: the same for ever, different for different places, a DNS label, and recognisable as ours.
"""

import base64
import hashlib
from typing import NamedTuple

PREFIX = "kcp-"
_DIGEST_BYTES = 15  # 120 bits are 24 characters of base 32, without padding
CLUSTER_ANNOTATION = "kcp.io/cluster"
NAMESPACE_ANNOTATION = "kcp.io/namespace"


class Origin(NamedTuple):
    """A logical cluster. `incarnation` (the uid of its namespace default): one born anew at the same path does not find
    what its predecessor left behind."""

    path: str
    incarnation: str


def downstream_namespace(origin: Origin, namespace: str) -> str:
    """At most 28 characters."""
    digest = hashlib.sha256("\0".join((*origin, namespace)).encode()).digest()
    return PREFIX + base64.b32encode(digest[:_DIGEST_BYTES]).decode().lower()


def origin_annotations(path: str, namespace: str) -> dict[str, str]:
    """What the downstream namespace says of itself, for people and for finding the way back."""
    return {CLUSTER_ANNOTATION: path, NAMESPACE_ANNOTATION: namespace}
