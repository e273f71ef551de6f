"""Asks a webhook whose a token is: TokenReviews out, users in, as kube-apiserver does. A TokenProver.

What it said is remembered, by the token's digest, for as long as the operator says; failures are not. Tokens alike
share no call: who waits for the same one is rare, and a request that ends takes only its own call with it.
"""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from kcpfront.authentication.credential import Credential, InvalidToken, authenticated, credential, digest
from kcpfront.authentication.options import WebhookOptions
from kcpshard.api.requests import Identity
from kcpshard.callouts.calls import Callouts
from kcpshard.callouts.errors import CalloutError, TimedOut
from kcpshard.callouts.kubeconfig import read_kubeconfig

CALL_S, WHOLE_S = 10.0, 25.0
ATTEMPTS = 5
_FIRST_PAUSE_S, _GROWTH, _JITTER = 0.5, 1.5, 0.2
# Of the operator's webhook; more wait for their turn, within their time.
_AT_ONCE = 24
_MAX_REFUSED = 16_384  # when full all are forgotten


class TokenWebhook:
    """Raises InvalidKubeconfig when it is made of a file that is none."""

    def __init__(self, options: WebhookOptions, callouts: Callouts, api_audiences: Sequence[str]) -> None:
        self._options, self._callouts, self._api_audiences = options, callouts, tuple(api_audiences)
        self._client, self._token = read_kubeconfig(options.config_file)
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._refused: dict[bytes, float] = {}  # until when

    async def prove(self, token: str, audiences: Sequence[str]) -> Credential | None:
        key = digest("\n".join((*audiences, token)))
        now = time.time()
        if self._refused.get(key, 0.0) > now:
            return None
        try:
            async with asyncio.timeout(WHOLE_S), self._turns:
                status = await self._ask(token, audiences)
        except TimeoutError:
            raise InvalidToken("the authentication webhook takes too long") from None
        except (CalloutError, ValueError):
            # Not its text: it may repeat what was sent.
            raise InvalidToken("the authentication webhook cannot be asked") from None
        found = self._read(status, audiences, now)
        if found is None and self._options.cache_ttl_s > 0:
            if len(self._refused) >= _MAX_REFUSED:
                self._refused.clear()
            self._refused[key] = now + self._options.cache_ttl_s
        return found

    async def _ask(self, token: str, audiences: Sequence[str]) -> Mapping[str, Any]:
        review = {
            "kind": "TokenReview",
            "apiVersion": f"authentication.k8s.io/{self._options.version}",
            "spec": {"token": token, "audiences": list(audiences)},
        }
        body = orjson.dumps(review)
        pause_s = _FIRST_PAUSE_S
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._once(body)
            except _Passing:
                if attempt == ATTEMPTS:
                    raise
            except TimedOut:
                raise
            except CalloutError:
                if attempt == ATTEMPTS:
                    raise
            await asyncio.sleep(pause_s * (1 + random.random() * _JITTER))  # noqa: S311 - spreads load
            pause_s *= _GROWTH
        raise AssertionError("not reached")

    async def _once(self, body: bytes) -> Mapping[str, Any]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        answer = await self._callouts.call(0, self._client, "POST", body, CALL_S, "", headers)
        if answer.code == 429 or answer.code >= 500:
            raise _Passing(f"it answered {answer.code}")
        if not 200 <= answer.code < 300:
            raise ValueError(f"it answered {answer.code}")
        found = orjson.loads(answer.body)
        status = found.get("status") if isinstance(found, dict) else None
        if not isinstance(status, dict):
            raise ValueError("it answered with no TokenReview")
        return status

    def _read(self, status: Mapping[str, Any], audiences: Sequence[str], now_s: float) -> Credential | None:
        """None: nobody's token. Raises InvalidToken where the webhook told of an error, which is not remembered."""
        given = status.get("audiences") or self._api_audiences
        meant = tuple(each for each in audiences if each in given)
        if status.get("authenticated") is not True:
            if status.get("error"):
                raise InvalidToken("the authentication webhook refuses it with an error")
            return None
        if not meant:
            return None
        user = _user(status.get("user"))
        return credential(user, expires_s=now_s + self._options.cache_ttl_s, audiences=meant)


class _Passing(ValueError):
    """Worth another try."""


def _user(given: object) -> Identity:
    if not isinstance(given, dict) or not isinstance(given.get("username"), str):
        raise InvalidToken("the authentication webhook names no user")
    uid, groups, extra = given.get("uid") or "", given.get("groups") or [], given.get("extra") or {}
    if not (
        isinstance(uid, str) and _are_texts(groups) and isinstance(extra, dict) and all(map(_are_texts, extra.values()))
    ):
        raise InvalidToken("the authentication webhook describes no user")
    return authenticated(Identity(given["username"], uid, tuple(groups), extra))


def _are_texts(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(each, str) for each in found)
