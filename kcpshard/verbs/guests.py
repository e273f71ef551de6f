"""Whoever is somebody in an ancestor, as he is known in a workspace that inherits authentication.

A service account `a` in namespace `n` of `root:org` is the user system:kcp:serviceaccount:root:org:n:a in
`root:org:team`, a user by certificate system:kcp:user:root:org:<name>; both are in system:authenticated and
system:cluster:root:org, and in none of the groups that they have at home. So nobody is mistaken for a local account of
the same name, and what a guest may is what is granted to that user or group (inherited bindings do not name it).
"""

from collections.abc import Callable

from kcpshard.api.proofs import Proof
from kcpshard.api.requests import Identity, decode_identity
from kcpshard.api.service_accounts import AUTHENTICATED
from kcpshard.storage.contract import LogicalCluster
from kcpshard.verbs.shard import Shard

_ACCOUNT = "system:serviceaccount:"


def guest(
    shard: Shard,
    cluster: LogicalCluster,
    proof: Proof,
    raw: bytes,
    identity: bytes,
    prove: Callable[[Shard, str, bytes], bytes],
) -> bytes | None:
    """His identity here; None if he is nobody. Raises Unauthorized, where his credential is worth nothing at home;
    NotDurable and ServiceUnavailable where home is another shard."""
    for path in shard.standing.hosts(cluster):
        if shard.is_ours(path):
            home = shard.store.pending_cluster(path)
            if home is None or home.id != proof.cluster:
                continue
            prove(shard, path, raw)
        elif not shard.directory.is_somebody(path, identity, raw):
            continue
        return known_as(identity, path).encode()
    return None


def known_as(identity: bytes, path: str) -> Identity:
    """`path`: where the identity is at home. One that is told already is the same again."""
    name = decode_identity(identity).username
    if name.startswith(_ACCOUNT):
        name = f"system:kcp:serviceaccount:{path}:{name.removeprefix(_ACCOUNT)}"
    elif not name.startswith(("system:kcp:serviceaccount:", "system:kcp:user:")):
        name = f"system:kcp:user:{path}:{name}"
    return Identity(name, "", (AUTHENTICATED, f"system:cluster:{path}"))
