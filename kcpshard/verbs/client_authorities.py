"""Writes of the ConfigMap that registers a logical cluster's client authorities, and whether one is still registered.

Who registers an authority can become anybody in the logical cluster. So it takes what it gives: everything.
"""

from datetime import UTC, datetime

import orjson

from kcpshard.api.client_authorities import CONFIG_MAPS, MEMBER, NAME, NAMESPACE, certificates, digest
from kcpshard.api.errors import Forbidden, object_invalid
from kcpshard.api.requests import Request
from kcpshard.authorization.rules import EVERYTHING, missing
from kcpshard.credentials.client_authorities import faults
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, Put
from kcpshard.verbs.shard import Shard


def check_write(shard: Shard, cluster: LogicalCluster, request: Request, put: Put) -> None:
    """Raises Forbidden or Invalid; other objects of that name are nobody's business."""
    if (put.group_resource, put.namespace, put.name) != (CONFIG_MAPS, NAMESPACE, NAME):
        return
    grants = shard.authorizer.grants(cluster, request.cluster, request.identity)
    if not grants.is_master and missing(grants.rules("")[0], EVERYTHING):
        text = f'configmaps "{NAME}" is forbidden: must have cluster-admin privileges to register client authorities'
        raise Forbidden(text, name=NAME, kind=CONFIG_MAPS)
    data = orjson.loads(put.json).get("data") or {}
    found = list(faults(data, datetime.fromtimestamp(shard.now_us() / 1e6, UTC)))
    if found:
        raise object_invalid("", "ConfigMap", NAME, found)


def is_registered(value: bytes, wanted: str) -> bool:
    """Whether the stored ConfigMap names the authority of that digest."""
    data = orjson.loads(envelope.body(value)).get("data") or {}
    try:
        return any(digest(der) == wanted for der in certificates(str(data.get(MEMBER, "")).encode()))
    except ValueError:
        return False
