"""Maximal permission policies: an exporter's RBAC bounds what may be done with its types wherever they are bound.

Asked in addition to the rights in the logical cluster that binds, about the same user and groups under a prefix, so
that nobody is named by accident. Administrators of the installation are not bounded.
"""

from kcpshard.api.requests import Identity, decode_identity
from kcpshard.authorization.attributes import Attributes, refused
from kcpshard.authorization.policy import MASTERS
from kcpshard.storage.contract import LogicalCluster
from kcpshard.tenancy.exports import POLICY_PREFIX
from kcpshard.verbs.shard import Shard


def check_policy(shard: Shard, cluster: LogicalCluster | None, raw: bytes, wanted: Attributes) -> None:
    """Raises Forbidden, NotDurable until the exporter's shard has answered, ServiceUnavailable."""
    if not is_within_policy(shard, cluster, raw, wanted):
        username = decode_identity(raw).username
        raise refused(username, wanted, "the maximal permission policy of the APIExport does not allow it")


def is_within_policy(shard: Shard, cluster: LogicalCluster | None, raw: bytes, wanted: Attributes) -> bool:
    binding = shard.bound.of_type(cluster, (wanted.group, wanted.resource)) if cluster is not None else None
    if binding is None or not binding.has_policy:
        return True
    identity = decode_identity(raw)
    if MASTERS in identity.groups and not identity.scope:
        return True
    groups = tuple(f"{POLICY_PREFIX}{group}" for group in identity.groups)
    asked = Identity(f"{POLICY_PREFIX}{identity.username}", "", groups)
    return shard.directory.may_as(asked, binding.export.path, wanted)
