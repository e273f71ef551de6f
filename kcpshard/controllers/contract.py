"""What a controller is to the runner: it names what may need work, and does one piece of it at a time.

A controller is level-triggered: `see` only says where to look, `reconcile` looks at what is there now. So a key that
is looked at once too often does no harm, and a restart needs no memory of what was going on.
"""

from typing import Protocol

from kcpshard.api.events import Change
from kcpshard.storage.contract import LogicalCluster

Key = tuple[str, ...]
Keys = tuple[Key, ...]


class Controller(Protocol):
    @property
    def name(self) -> str:
        """As kube-controller-manager names the same controller; `--controllers` switches it off by it."""

    def see(self, cluster_id: int, change: Change) -> Keys:
        """What to look at because of a durable change. Called for every change of the shard: it must cost next to
        nothing for those that do not matter. Also called for each object there is, as an ADDED change, when the runner
        has to look through a logical cluster; then `previous` is None. From the log `previous` may have no JSON."""

    async def reconcile(self, cluster: LogicalCluster, key: Key) -> float:
        """Bring one thing nearer to how it should be. Returns seconds after which to look again, 0 for settled.

        Raises ApiError, ReadOnly for what may go better later: it is called again, ever more slowly.
        At most 2 ms between two awaits."""
