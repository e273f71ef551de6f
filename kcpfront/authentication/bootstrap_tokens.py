"""Bootstrap tokens, "abcdef.0123456789abcdef": a Secret in kube-system of the logical cluster addressed holds each.

Here is only seen what such a token claims; the shard compares it with the Secret and says which groups it has.
"""

import re
from collections.abc import Sequence

from kcpfront.authentication.credential import Credential, credential, digest
from kcpshard.api.proofs import BootstrapToken, Proof
from kcpshard.api.requests import Identity

_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")


class BootstrapTokens:
    """A TokenProver."""

    async def prove(self, token: str, audiences: Sequence[str]) -> Credential | None:
        found = _TOKEN.fullmatch(token)
        if found is None:
            return None
        id_, secret = found.groups()
        proof = Proof(0, (), None, BootstrapToken(id_, digest(secret).hex()))
        # Without any group: that is the shard's to add, with the proof.
        return credential(Identity(f"system:bootstrap:{id_}"), proof.encode())
