"""ResourceQuota: what a namespace may hold. Checked and charged in the loop turn of the commit, in the same commit.

So two writes can never both take the last place, and a write that is not made is not charged. What is given back by
deletions is found by the controller, which counts anew. A namespace without quotas costs one point read.
"""

from typing import TYPE_CHECKING

import orjson

from kcpshard.api.errors import Forbidden
from kcpshard.api.objects import Object
from kcpshard.definitions import quota_usage as usages
from kcpshard.definitions.quota_usage import Usage
from kcpshard.storage import envelope
from kcpshard.storage.contract import Put

if TYPE_CHECKING:
    from kcpshard.admission.attributes import Attributes

QUOTAS = "resourcequotas"
_MOST = 256  # quotas of one namespace that count


def admit(attributes: "Attributes") -> None:
    if attributes.operation == "DELETE" or not attributes.namespace or attributes.subresource:
        return
    cluster, store, kept_as = attributes.cluster, attributes.store, attributes.resource.group_resource
    if attributes.operation == "UPDATE" and kept_as not in usages.CHANGING:
        return
    if cluster is None or not store.count(cluster, QUOTAS) or kept_as in usages.IGNORED:
        return
    for value in store.scan_pending(cluster, QUOTAS, attributes.namespace, _MOST):
        _check(attributes, kept_as, value)


def _check(attributes: "Attributes", kept_as: str, value: bytes) -> None:
    quota, obj, old = orjson.loads(envelope.body(value)), attributes.object, attributes.old
    assert obj is not None
    status = quota.get("status") or {}
    hard = {name: amount for name, amount in usages.read(status.get("hard")).items() if usages.source(name) == kept_as}
    if not hard or not usages.is_counted_by(quota.get("spec") or {}, kept_as, obj):
        return
    if kept_as == usages.PODS and (missing := usages.unspecified(hard, obj)):
        raise _forbidden(attributes, f"failed quota: {quota['metadata']['name']}: must specify {missing}")
    if old is not None and not usages.is_counted_by(quota.get("spec") or {}, kept_as, old):
        old = None  # it is in this quota's scopes only now
    asked = _asked(kept_as, obj, old, hard)
    if not asked:
        return
    used = usages.read(status.get("used"))
    _check_amounts(attributes, quota, asked, used, hard)
    attributes.companions.append(_charged(quota, value, usages.added(used, asked)))


def _asked(kept_as: str, obj: Object, old: Object | None, hard: Usage) -> Usage:
    """What the write uses more than before."""
    found = usages.usage(kept_as, obj)
    if old is not None:
        found = usages.minus(found, usages.usage(kept_as, old))
    return {name: amount for name, amount in found.items() if name in hard and amount.value > 0}


def _check_amounts(attributes: "Attributes", quota: Object, asked: Usage, used: Usage, hard: Usage) -> None:
    name = quota["metadata"]["name"]
    unknown = [resource for resource in asked if resource not in used]
    if unknown:
        raise _forbidden(attributes, f"status unknown for quota: {name}, resources: {','.join(sorted(unknown))}")
    over = [r for r, amount in asked.items() if used[r].value + amount.value > hard[r].value]
    if over:
        parts = (usages.shown({r: amounts[r] for r in over}) for amounts in (asked, used, hard))
        text = "exceeded quota: {}, requested: {}, used: {}, limited: {}".format(name, *parts)
        raise _forbidden(attributes, text)


def _charged(quota: Object, value: bytes, used: Usage) -> Put:
    status = {**quota["status"], "used": usages.written(used)}
    json, hole, annotations = envelope.encode_object({**quota, "status": status})
    meta = quota["metadata"]
    return Put(
        QUOTAS, meta["namespace"], meta["name"], json, hole, annotations, meta["uid"], "v1", envelope.labels(value),
        envelope.fields(value), envelope.fingerprint(value),
    )  # fmt: skip


def _forbidden(attributes: "Attributes", text: str) -> Forbidden:
    resource, name = attributes.resource, attributes.name
    shown = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    return Forbidden(f'{shown} "{name}" is forbidden: {text}', name=name, group=resource.group, kind=resource.plural)
