"""Who is a node: user `system:node:NAME` of the group `system:nodes`, as kube-apiserver has it."""

from kcpshard.api.requests import Identity

GROUP, PREFIX = "system:nodes", "system:node:"
LEASE_NAMESPACE = "kube-node-lease"
_IN_BYTES = GROUP.encode()


def node_of(identity: Identity) -> str | None:
    """The name of the node that this is; None if it is none. It may be empty."""
    name = identity.username
    return name[len(PREFIX) :] if name.startswith(PREFIX) and GROUP in identity.groups else None


def may_be_node(raw: bytes) -> bool:
    """Of an identity as bytes, told without decoding it: False is certain."""
    return _IN_BYTES in raw
