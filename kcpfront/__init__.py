"""The front door: speaks Kubernetes HTTP, finds the shard. `embedded()` is a whole server in the caller's process."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kcpfront.embedding import embedded as embedded


def __getattr__(name: str) -> Any:
    # Late: a front process must not import a shard's insides.
    if name == "embedded":
        from kcpfront.embedding import embedded

        return embedded
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
