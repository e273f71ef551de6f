"""What must still be true of a credential, as a front asks it of the shard in the same round trip. Pure.

The front has checked signature and expiry; only the shard knows whether the logical cluster is still the same
incarnation and whether account and bound objects still exist.
"""

from typing import NamedTuple

import orjson


class ClaimedObject(NamedTuple):
    """It must exist under that uid. `resource` is its group resource."""

    resource: str
    namespace: str
    name: str
    uid: str


class StoredToken(NamedTuple):
    """The Secret must hold the token of that SHA-256 (hexadecimal)."""

    namespace: str
    name: str
    digest: str


class BootstrapToken(NamedTuple):
    """The token of that id must have a secret of that SHA-256; the shard says who its holder is."""

    id: str
    digest: str


class Proof(NamedTuple):
    """`cluster` is the id of the incarnation addressed; 0: any (bootstrap tokens are looked up where they are used).
    `authority`: the first of `objects` must name the certificate of that SHA-256 (hexadecimal)."""

    cluster: int
    objects: tuple[ClaimedObject, ...] = ()
    stored: StoredToken | None = None
    bootstrap: BootstrapToken | None = None
    authority: str = ""

    def encode(self) -> bytes:
        parts: list[object] = [self.cluster, [[*claimed] for claimed in self.objects]]
        parts += (each and [*each] for each in (self.stored, self.bootstrap))
        return orjson.dumps([*parts, self.authority] if self.authority else parts)


def decode_proof(raw: bytes) -> Proof:
    """Raises ValueError, TypeError for what no front has made."""
    cluster, objects, stored, bootstrap, *rest = orjson.loads(raw)
    return Proof(
        cluster,
        tuple(ClaimedObject(*claimed) for claimed in objects),
        StoredToken(*stored) if stored else None,
        BootstrapToken(*bootstrap) if bootstrap else None,
        *rest,
    )
