"""The life of a signing key: what becomes of the keys of one purpose next. Pure; times are microseconds.

    ANNOUNCED ── every shard has it, and fronts had time to ──► SIGNING ── another signs ──► RETIRED ──► gone

Announced and retired keys are known everywhere but sign nothing: the one is about to, what the other signed may still
be valid. Where no key signs yet the first one signs at once: there is nothing that waiting would keep working.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

DAY_US = 86_400_000_000
ROTATE_AFTER_US = 90 * DAY_US
# Longer than a token or certificate may live (credentials.service_account_tokens, issued_certificates).
RETIRED_FOR_US = 400 * DAY_US
# For fronts to hear of the map that every shard has: milliseconds, unless one is just looking for another shard.
FRONT_DELAY_US = 10_000_000


class KeyState(Enum):
    ANNOUNCED = "announced"
    SIGNING = "signing"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Key:
    """`since_us`: when it came into its state."""

    id: str
    purpose: str
    public_key: bytes
    private_key: bytes
    certificate: bytes
    state: KeyState
    since_us: int


def needs_key(keys: Sequence[Key], now_us: int) -> bool:
    """Whether a new one should be made: none signs, or the one that does is old."""
    if any(key.state is KeyState.ANNOUNCED for key in keys):
        return False
    signing = [key for key in keys if key.state is KeyState.SIGNING]
    return not signing or now_us - signing[0].since_us >= ROTATE_AFTER_US


def with_key(keys: Sequence[Key], key: Key) -> list[Key]:
    """A new key joins: announced, or signing if it is the first that does."""
    first = not any(known.state is KeyState.SIGNING for known in keys)
    return [*keys, replace(key, state=KeyState.SIGNING if first else KeyState.ANNOUNCED)]


def advanced(keys: Sequence[Key], now_us: int, known_everywhere: bool) -> list[Key]:
    """The keys after what is due: the announced one begins to sign, those long retired go.

    `known_everywhere`: every shard has had the map with the announced key for FRONT_DELAY_US.
    """
    kept = [k for k in keys if not (k.state is KeyState.RETIRED and now_us - k.since_us >= RETIRED_FOR_US)]
    signs = any(key.state is KeyState.SIGNING for key in kept)
    newest = max((k.since_us for k in kept if k.state is KeyState.ANNOUNCED), default=None)
    if newest is None or (signs and not known_everywhere):
        return kept
    return [_promoted(key, newest, now_us) for key in kept]


def _promoted(key: Key, newest: int, now_us: int) -> Key:
    if key.state is KeyState.ANNOUNCED and key.since_us == newest:
        return replace(key, state=KeyState.SIGNING, since_us=now_us)
    return key if key.state is KeyState.RETIRED else replace(key, state=KeyState.RETIRED, since_us=now_us)
