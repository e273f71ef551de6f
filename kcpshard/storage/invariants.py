"""What a caller of commit has promised, checked as the commit is made (KCP_VERIFY=1)."""

from collections.abc import Callable, Sequence

from kcpshard.api.resource_versions import DIGITS, PLACEHOLDER
from kcpshard.storage.contract import LogicalCluster, Put, Remove


def check_commit(
    cluster: LogicalCluster,
    writes: Sequence[Put | Remove],
    revision: int,
    durable: int,
    pending: Callable[[LogicalCluster, str, str, str], bytes | None],
) -> None:
    """Raises AssertionError."""
    assert writes, "a commit without writes"
    assert revision > durable, f"revision {revision} is not above the durable {durable}"
    keys = {write[:3] for write in writes}
    assert len(keys) == len(writes), "two writes of one object in a commit"
    for write in writes:
        assert not any("\0" in text for text in write[:3]), f"NUL in the key of {write[:3]}"
        assert write.json[write.hole : write.hole + DIGITS] == PLACEHOLDER, "the hole is not where the caller says"
        if type(write) is Remove:
            assert pending(cluster, *write[:3]) is not None, f"deletion of {write[:3]}, which is not there"
