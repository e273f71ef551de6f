"""Objects of custom types in another version, as the tenant's conversion webhook makes them.

Verbs decide without waiting. Whoever needs an object that has not been converted gets `NotConverted`, awaits it, and
decides again; the result waits here. What is kept is kept by content and for `KEPT_S` only, so a webhook that has been
changed is soon asked again, and an object that is read over and over is not converted every time. What belongs to one
logical cluster is never given to another, whatever the two define.
"""

import asyncio
import hashlib
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import orjson

from kcpshard.api.errors import ApiError, TooManyRequests
from kcpshard.api.objects import Object
from kcpshard.api.unconverted import NotConverted
from kcpshard.callouts.calls import Callouts
from kcpshard.callouts.errors import CalloutError, OverBudget
from kcpshard.callouts.targets import client_config
from kcpshard.definitions.conversion_reviews import ConversionFault, judged, question

KEPT_S = 10.0
KEPT_BYTES = 32 << 20
TIMEOUT_S = 30.0
# Of one review; what is larger goes in several.
REVIEW_OBJECTS, REVIEW_BYTES = 500, 1 << 20
# Differ between two tries of the same write, or are put back afterwards; a webhook decides by none of them.
_VOLATILE = frozenset(("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"))

Key = tuple[int, str, str, bytes]


class Conversion(NamedTuple):
    """`spec.conversion` of a definition with strategy Webhook, in one logical cluster."""

    cluster_id: int
    digest: str
    config: Mapping[str, Any]
    review_versions: Sequence[str]


class _Kept(NamedTuple):
    until: float
    converted: bytes
    size: int


class WebhookConversions:
    """One per shard."""

    def __init__(self, callouts: Callouts, clock: Callable[[], float] = time.monotonic) -> None:
        self._callouts, self._clock = callouts, clock
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._bytes = 0

    def converted(self, conversion: Conversion, obj: Object, api_version: str) -> Object:
        """A new object with the metadata of `obj`, but for labels and annotations. Raises NotConverted."""
        kept = self._find(_key(conversion, obj, api_version))
        if kept is None:
            raise NotConverted(partial(self.settle, conversion, (obj,), api_version))
        new: Object = orjson.loads(kept)
        changed, meta = new["metadata"], dict(obj["metadata"])
        for member in ("labels", "annotations"):
            meta.pop(member, None)
            if member in changed:
                meta[member] = changed[member]
        new["metadata"] = meta
        return new

    def missing(self, conversion: Conversion, objects: Sequence[Object], api_version: str) -> Sequence[Object]:
        return [o for o in objects if self._find(_key(conversion, o, api_version)) is None]

    async def settle(self, conversion: Conversion, objects: Sequence[Object], api_version: str) -> None:
        """Have the objects converted, all that fit in one review together. Raises ApiError."""
        for batch in _batches(objects):
            await self._ask(conversion, batch, api_version)

    async def _ask(self, conversion: Conversion, objects: Sequence[Object], api_version: str) -> None:
        uid = str(uuid.uuid4())
        first = objects[0]
        try:
            version, body = question(conversion.review_versions, objects, api_version, uid)
            answer = await self._callouts.post(
                conversion.cluster_id, client_config(conversion.config), body, TIMEOUT_S, f"timeout={TIMEOUT_S:.0f}s"
            )
            await asyncio.sleep(0)  # reading the answer takes its time
            found = judged(version, answer, objects, api_version, uid)
        except OverBudget as error:
            raise TooManyRequests(str(error), retry_after_s=error.retry_after_s) from None
        except CalloutError as error:
            raise _failed(first, f"failed: {error}") from None
        except ConversionFault as fault:
            raise _failed(first, str(fault)) from None
        for old, new in zip(objects, found, strict=True):
            self._keep(_key(conversion, old, api_version), new)

    def _find(self, key: Key) -> bytes | None:
        kept = self._kept.get(key)
        return kept.converted if kept is not None and self._clock() < kept.until else None

    def _keep(self, key: Key, new: Object) -> None:
        meta = {name: new["metadata"][name] for name in ("labels", "annotations") if name in new["metadata"]}
        text = orjson.dumps({**new, "metadata": meta})
        size = len(text) + 400
        if old := self._kept.pop(key, None):
            self._bytes -= old.size
        self._kept[key] = _Kept(self._clock() + KEPT_S, text, size)
        self._bytes += size
        now = self._clock()
        while self._kept and (self._bytes > KEPT_BYTES or next(iter(self._kept.values())).until <= now):
            if len(self._kept) == 1:
                break
            self._bytes -= self._kept.popitem(last=False)[1].size


def _key(conversion: Conversion, obj: Object, api_version: str) -> Key:
    meta = {name: value for name, value in obj["metadata"].items() if name not in _VOLATILE}
    if "generateName" in meta:
        meta.pop("name", None)  # another one at each try
    text = orjson.dumps({**obj, "metadata": meta}, option=orjson.OPT_SORT_KEYS)
    return conversion.cluster_id, conversion.digest, api_version, hashlib.sha256(text).digest()


def _batches(objects: Sequence[Object]) -> list[list[Object]]:
    batches: list[list[Object]] = [[]]
    size = 0
    for obj in objects:
        length = len(orjson.dumps(obj))
        if batches[-1] and (len(batches[-1]) >= REVIEW_OBJECTS or size + length > REVIEW_BYTES):
            batches.append([])
            size = 0
        batches[-1].append(obj)
        size += length
    return batches if batches[0] else []


def _failed(obj: Object, text: str) -> ApiError:
    """kube-apiserver does not know whose fault it is: 500 without a reason."""
    return ApiError(f"conversion webhook for {obj['apiVersion']}, Kind={obj['kind']} {text}")
