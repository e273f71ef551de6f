"""Tokens that are kept in Secrets of type kubernetes.io/service-account-token, as kube-controller-manager's token
controller keeps them: filled in for the account that the Secret names, deleted with it."""

import base64
from contextlib import suppress

import jwt
import orjson

from kcpshard.api.errors import Conflict, NotFound, ServiceUnavailable
from kcpshard.api.events import Change, EventType
from kcpshard.api.objects import Object
from kcpshard.controllers.contract import Key, Keys
from kcpshard.controllers.system_client import SystemClient
from kcpshard.credentials.service_account_tokens import Reference, Subject
from kcpshard.definitions.contract import Resource
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster
from kcpshard.verbs.shard import Shard

NAME = "serviceaccount-token-controller"
SECRETS, ACCOUNTS = "secrets", "serviceaccounts"
TYPE = "kubernetes.io/service-account-token"
_ACCOUNT_NAME, _ACCOUNT_UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
_MAX_SECRETS = 1_000  # of a namespace looked at when an account goes; the rest is found when it is next looked at
_NO_KEY_S = 1.0


class ServiceAccountTokens:
    name = NAME

    def __init__(self, shard: Shard) -> None:
        self._shard, self._client = shard, SystemClient(shard, "tokens-controller")

    def see(self, cluster_id: int, change: Change) -> Keys:
        if change.group_resource == SECRETS:
            return ((change.namespace, change.name),) if change.type is not EventType.DELETED else ()
        if change.group_resource == ACCOUNTS and change.type is EventType.DELETED:
            return ((change.namespace,),)
        return ()

    async def reconcile(self, cluster: LogicalCluster, key: Key) -> float:
        if len(key) == 2:
            return await self._look(cluster, *key)
        values = self._shard.store.scan_pending(cluster, SECRETS, key[0], _MAX_SECRETS)
        for value in values:
            if envelope.fields(value).get("type") == TYPE:
                await self._look(cluster, key[0], orjson.loads(envelope.body(value))["metadata"]["name"])
        return 0

    async def _look(self, cluster: LogicalCluster, namespace: str, name: str) -> float:
        value = self._shard.store.pending(cluster, SECRETS, namespace, name)
        if value is None or envelope.fields(value).get("type") != TYPE:
            return 0
        secret: Object = orjson.loads(envelope.body(value))
        notes = secret["metadata"].get("annotations") or {}
        account_name = notes.get(_ACCOUNT_NAME)
        if not account_name or secret["metadata"].get("deletionTimestamp"):
            return 0
        account = self._account(cluster, namespace, account_name)
        if account is None or notes.get(_ACCOUNT_UID) not in (None, "", account.uid):
            await self._delete(cluster, secret)
            return 0
        return await self._fill(cluster, secret, account)

    def _account(self, cluster: LogicalCluster, namespace: str, name: str) -> Reference | None:
        value = self._shard.store.pending(cluster, ACCOUNTS, namespace, name)
        return Reference(name, envelope.uid(value)) if value is not None else None

    async def _fill(self, cluster: LogicalCluster, secret: Object, account: Reference) -> float:
        meta, data = secret["metadata"], dict(secret.get("data") or {})
        wanted = {"namespace": _encoded(meta["namespace"])}
        if self._shard.contents.root_certificate:
            wanted["ca.crt"] = _encoded(self._shard.contents.root_certificate)
        notes = {**meta["annotations"], _ACCOUNT_UID: account.uid}
        if not self._is_good(data.get("token")):
            subject = Subject(meta["namespace"], account)
            try:
                wanted["token"] = _encoded(self._shard.issuer.issue_legacy(cluster.id, subject, meta["name"]))
            except ServiceUnavailable:
                return _NO_KEY_S
        if notes != meta["annotations"] or {**data, **wanted} != data:
            changed = {**secret, "metadata": {**meta, "annotations": notes}, "data": {**data, **wanted}}
            with suppress(Conflict, NotFound):  # another change is another look
                await self._client.update(cluster, self._secrets(cluster), changed)
        return 0

    def _is_good(self, token: str | None) -> bool:
        """Whether there is one, signed with a key that is still known."""
        if not token:
            return False
        try:
            return self._shard.issuer.knows(jwt.get_unverified_header(base64.b64decode(token)).get("kid", ""))
        except (jwt.InvalidTokenError, ValueError):
            return False

    async def _delete(self, cluster: LogicalCluster, secret: Object) -> None:
        meta = secret["metadata"]
        options = {"preconditions": {"uid": meta["uid"]}}
        with suppress(Conflict, NotFound):
            await self._client.delete(cluster, self._secrets(cluster), meta["namespace"], meta["name"], options)

    def _secrets(self, cluster: LogicalCluster) -> Resource:
        found = self._shard.catalog.find(cluster, "", "v1", SECRETS)
        assert found is not None, "core types are always served"
        return found


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
