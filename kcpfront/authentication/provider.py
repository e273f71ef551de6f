"""One OpenID Connect provider: its keys, fetched in the background and kept; what its tokens prove.

A provider that cannot be reached is asked again, its last keys stay good: tokens live minutes, keys months.
"""

import asyncio
import logging
import time
from collections.abc import Sequence

import orjson

from kcpfront.authentication.claim_mappings import identity_of
from kcpfront.authentication.configuration import Issuer
from kcpfront.authentication.credential import Credential, InvalidToken, credential
from kcpfront.authentication.key_set import ALGORITHMS, Header, Key, candidates, read_key_set, verified_claims
from kcpshard.callouts.calls import Callouts
from kcpshard.callouts.errors import CalloutError
from kcpshard.callouts.targets import ClientConfig

_log = logging.getLogger(__name__)

REFRESH_S = 600.0
RETRY_S = 10.0  # after a failure; and no sooner because of tokens with unknown keys, which anybody can make
FETCH_S = 10.0
KEY_WAIT_S = 5.0
_MAX_WAITING = 64  # tokens with unknown keys at the same time; more are refused at once
_MAX_BYTES = 1 << 20


class Provider:
    """`run` fetches until it is cancelled; without it there are no keys."""

    def __init__(self, issuer: Issuer, callouts: Callouts) -> None:
        self.issuer = issuer
        self._callouts = callouts
        self.keys: Sequence[Key] | None = None  # None: not fetched yet
        self._fetched = asyncio.Event()  # replaced after each attempt
        self._wanted = asyncio.Event()
        self._waiting = 0

    async def run(self) -> None:
        while True:
            fault = await self._refresh()
            if fault:
                _log.warning("keys of the issuer %s cannot be fetched: %s", self.issuer.url, fault)
            self._wanted.clear()
            fetched, self._fetched = self._fetched, asyncio.Event()
            fetched.set()
            await asyncio.sleep(RETRY_S)
            if fault:
                continue
            try:
                async with asyncio.timeout(REFRESH_S - RETRY_S):
                    await self._wanted.wait()
            except TimeoutError:
                pass

    async def prove(self, token: str, header: Header, audiences: Sequence[str]) -> Credential:
        """`audiences` are those of the API server that the token, being good, is good for. Raises InvalidToken."""
        if header.algorithm not in ALGORITHMS:
            raise InvalidToken("oidc: verify token: the signature's algorithm is not accepted")
        keys = candidates(self.keys or (), header) or await self._wait_for(header)
        claims = verified_claims(token, keys, header, time.time())
        meant = claims.get("aud")
        if self.issuer.audiences.isdisjoint(_texts(meant)):
            raise InvalidToken("oidc: verify token: the token is for another audience")
        user = identity_of(claims, self.issuer)
        return credential(user, expires_s=float(claims["exp"]), audiences=tuple(audiences))

    async def _wait_for(self, header: Header) -> Sequence[Key]:
        """The keys of a token whose key is not known yet: with the next fetch, if that is near."""
        if self._waiting < _MAX_WAITING:
            self._waiting += 1
            self._wanted.set()
            try:
                async with asyncio.timeout(KEY_WAIT_S):
                    await self._fetched.wait()
            except TimeoutError:
                pass
            finally:
                self._waiting -= 1
            if found := candidates(self.keys or (), header):
                return found
        if self.keys is None:
            raise InvalidToken("oidc: authenticator not initialized")
        raise InvalidToken("oidc: verify token: the token is signed with an unknown key")

    async def _refresh(self) -> str:
        """Why it failed; "" if it did not."""
        try:
            async with asyncio.timeout(2 * FETCH_S):
                self.keys = await self._fetch()
        except TimeoutError:
            return "it takes too long"
        except (CalloutError, ValueError, OSError) as fault:
            return str(fault)
        return ""

    async def _fetch(self) -> Sequence[Key]:
        url = self.issuer.url
        place = self.issuer.discovery_url or f"{url.rstrip('/')}/.well-known/openid-configuration"
        found = await self._document(place)
        if not isinstance(found, dict) or found.get("issuer") != url:
            raise ValueError("the discovery document is that of another issuer")
        keys = found.get("jwks_uri")
        if not isinstance(keys, str):
            raise ValueError("the discovery document names no jwks_uri")
        return read_key_set(await self._document(keys))

    async def _document(self, url: str) -> object:
        config = ClientConfig(url, None, self.issuer.authority)
        answer = await self._callouts.call(0, config, "GET", b"", FETCH_S, "", {"Accept": "application/json"})
        if answer.code != 200:
            raise ValueError(f"{url} answered {answer.code}")
        if len(answer.body) > _MAX_BYTES:
            raise ValueError(f"{url} answered with more than {_MAX_BYTES} bytes")
        found: object = orjson.loads(answer.body)
        return found


def _texts(given: object) -> Sequence[str]:
    values = given if isinstance(given, list) else [given]
    return [each for each in values if isinstance(each, str)]
