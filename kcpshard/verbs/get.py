"""get: one object, as its stored bytes.

The hot path: ownership, logical cluster, resource type, object; nothing is decoded. What is unusual (a subresource, a
resourceVersion, another version than the stored one, an unborn logical cluster) leaves it early.
"""

import asyncio
from collections.abc import Sequence

import orjson

from kcpshard.api import points_in_time
from kcpshard.api.errors import BadRequest, Cause, Timeout, object_not_found
from kcpshard.api.requests import Answer, Request
from kcpshard.definitions.contract import Resource
from kcpshard.storage import envelope
from kcpshard.storage.contract import Compacted, LogicalCluster, NotDurable
from kcpshard.verbs import scale
from kcpshard.verbs.outcome import Outcome
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.target import find_target

# kube-apiserver waits this long for a revision that it has not seen, then answers 504.
FUTURE_REVISION_WAIT_S = 3.0
_POLL_S = 0.05


def get(shard: Shard, request: Request) -> Outcome:
    if request.subresource or request.resource_version or request.at:
        return _get_unusual(shard, request)
    path = request.cluster
    shard.ownership.check(path)
    cluster = shard.store.find_cluster(path)
    resource = shard.catalog.find(cluster, request.group, request.version, request.resource)
    if (
        cluster is None
        or resource is None
        or resource.namespaced is not bool(request.namespace)
        or resource.deprecation
        or path[:7] == "system:"
    ):
        return _read(shard, request)
    try:
        value = shard.store.get(cluster, resource.group_resource, request.namespace, request.name)
    except NotDurable:
        return _read(shard, request)
    if value is None or resource.storage_resource is not None or resource.virtual or resource.definition is not None:
        return _read(shard, request)
    if request.want_columns:
        return Answer(200, envelope.body(value), columns=resource.columns)
    return Answer(200, envelope.body(value))


def _get_unusual(shard: Shard, request: Request) -> Outcome:
    wanted = past_revision(shard, request) if request.at else _revision(request.resource_version)
    if wanted <= shard.store.durable_revision:
        return _read(shard, request)
    return _get_later(shard, request, wanted)


async def _get_later(shard: Shard, request: Request, wanted: int) -> Answer:
    await wait_for_revision(shard, wanted)
    return _read(shard, request)


def _read(shard: Shard, request: Request) -> Answer:
    target = find_target(shard, request, "get", pending=False)
    cluster, resource, stored = target
    value = None
    if cluster is not None:
        value = (_past if request.at else _durable)(shard, cluster, stored, request)
    if value is None:
        raise object_not_found(resource.group, resource.plural, request.name)
    if request.subresource == scale.SCALE:
        body = orjson.dumps(scale.read(resource, orjson.loads(served_body(shard, resource, value))))
        return Answer(200, body)
    columns = resource.columns if request.want_columns else b""
    warnings = (resource.deprecation,) if resource.deprecation else ()
    return Answer(200, served_body(shard, resource, value), None, warnings, columns)


def past_revision(shard: Shard, request: Request) -> int:
    """The revision that the parameter `at` asks for; a time that has passed never lies beyond the newest one."""
    if request.resource_version:
        raise BadRequest("specifying resource version is not allowed when using at")
    wanted = points_in_time.point_in_time(request.at, shard.now_us())
    return wanted if request.at.isdigit() else min(wanted, shard.store.durable_revision)


def _past(shard: Shard, cluster: LogicalCluster, stored: Resource, request: Request) -> bytes | None:
    revision = past_revision(shard, request)
    try:
        return shard.store.get_at(
            cluster, stored.group_resource, request.namespace, request.name, revision, stored.retention
        )
    except Compacted as error:
        raise points_in_time.too_old(error.oldest) from None


def _durable(shard: Shard, cluster: LogicalCluster, stored: Resource, request: Request) -> bytes | None:
    """The durable state, without waiting for what is being written: nobody has been told of that yet, and under
    endless writes to one object a reader would wait for ever."""
    store, group_resource = shard.store, stored.group_resource
    try:
        return store.get(cluster, group_resource, request.namespace, request.name)
    except NotDurable:
        revision = store.durable_revision
        return store.get_at(cluster, group_resource, request.namespace, request.name, revision, stored.retention)


def served_body(shard: Shard, resource: Resource, value: bytes) -> bytes:
    """The JSON of an envelope in the version of `resource`: the stored bytes, unless they are of another version or
    were written under another schema."""
    if resource.definition is not None:
        if envelope.fingerprint(value) == resource.fingerprint:
            return envelope.body(value)
    elif resource.storage_resource is None and envelope.api_version(value) == resource.storage_version:
        return envelope.body(value)
    return orjson.dumps(shard.catalog.convert(orjson.loads(envelope.body(value)), resource))


def served_bodies(shard: Shard, resource: Resource, values: Sequence[bytes]) -> list[bytes]:
    """`served_body` of many: without the look at each one's version where there is only one."""
    if resource.storage_resource is None and resource.definition is None:
        return envelope.bodies(values)
    return [served_body(shard, resource, value) for value in values]


def _revision(text: str) -> int:
    if not text:
        return 0
    if text.isascii() and text.isdigit():
        return int(text)
    # kube-apiserver answers 500 here, to a fault of the client; list answers 400 in both.
    raise BadRequest(f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')


async def wait_for_revision(shard: Shard, wanted: int) -> None:
    """Return when the durable state has reached `wanted`; Timeout with the cause that clients know after 3 s.

    Polls: it happens only to a client whose resourceVersion is from the future, usually another shard's clock.
    """
    left = FUTURE_REVISION_WAIT_S
    while shard.store.durable_revision < wanted:
        if left <= 0:
            raise too_large_revision(wanted, shard.store.durable_revision)
        await asyncio.sleep(_POLL_S)
        left -= _POLL_S


def too_large_revision(wanted: int, current: int) -> Timeout:
    cause = Cause("ResourceVersionTooLarge", "Too large resource version")
    return Timeout(
        f"Timeout: Too large resource version: {wanted}, current: {current}", causes=(cause,), retry_after_s=1
    )
