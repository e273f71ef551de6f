"""Where a namespace of a logical cluster lives on a physical cluster. Pure.

One-to-one mapping lets tenants collide, and lets one reach the syncer's own namespace. So the downstream name is made
from both names: the same for ever, different for different places, a DNS label, and recognisable as ours.
"""

import base64
import hashlib

PREFIX = "kcp-"
_DIGEST_BYTES = 15  # 120 bits are 24 characters of base 32, without padding
CLUSTER_ANNOTATION = "kcp.io/cluster"
NAMESPACE_ANNOTATION = "kcp.io/namespace"


def downstream_namespace(cluster_id: int, namespace: str) -> str:
    """At most 28 characters. `cluster_id` is the incarnation's: a logical cluster born anew at the same path does not
    find what its predecessor left behind."""
    digest = hashlib.sha256(cluster_id.to_bytes(8, "big") + b"\0" + namespace.encode()).digest()
    return PREFIX + base64.b32encode(digest[:_DIGEST_BYTES]).decode().lower()


def origin_annotations(path: str, namespace: str) -> dict[str, str]:
    """What the downstream namespace says of itself, for people and for finding the way back."""
    return {CLUSTER_ANNOTATION: path, NAMESPACE_ANNOTATION: namespace}
