"""Tokens proved before, by digest, until they expire: what costs a signature once costs a dictionary's look then."""

from kcpfront.authentication.credential import Credential

MAX_TOKENS = 16_384  # when full, the older half goes: to prove one again is 200 µs
MAX_AGE_S = 600.0  # however long it lives: keys, providers and webhooks are asked again


class VerifiedTokens:
    def __init__(self) -> None:
        self._known: dict[bytes, tuple[Credential, float]] = {}

    def find(self, digest: bytes, now_s: float) -> Credential | None:
        found = self._known.get(digest)
        if found is None:
            return None
        if found[1] <= now_s:
            del self._known[digest]
            return None
        return found[0]

    def add(self, digest: bytes, proved: Credential, now_s: float, age_s: float = MAX_AGE_S) -> None:
        if len(self._known) >= MAX_TOKENS:
            for old in list(self._known)[: MAX_TOKENS // 2]:
                del self._known[old]
        self._known[digest] = (proved, min(proved.expires_s, now_s + age_s))

    def clear(self) -> None:
        self._known.clear()

    def __len__(self) -> int:
        return len(self._known)
