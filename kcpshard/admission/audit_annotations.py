"""What admission has to say in a request's audit record, gathered while its verb runs, however often it is run.

Nothing is gathered unless somebody asked for a record. What a run adds stays when the verb is run anew with the answers
of webhooks: the same keys, the later value.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_MAX_BYTES = 64 * 1024  # of one request; further ones are left out
_gathered: ContextVar[dict[str, str] | None] = ContextVar("audit_annotations", default=None)


@contextmanager
def gathering(into: dict[str, str]) -> Iterator[None]:
    """What is noted in here, also across awaits, goes `into`."""
    token = _gathered.set(into)
    try:
        yield
    finally:
        _gathered.reset(token)


def note(annotations: Mapping[str, str] | Iterable[tuple[str, str]]) -> None:
    """No effect where nobody gathers."""
    found = _gathered.get()
    if found is None:
        return
    for key, value in dict(annotations).items():
        if sum(map(len, found.values())) + len(value) <= _MAX_BYTES:
            found[key] = value
