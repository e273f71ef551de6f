"""Tokens of OpenID Connect providers: the issuer a token names decides who is asked. A TokenProver."""

import asyncio
from collections.abc import Sequence

from kcpfront.authentication.configuration import Issuer
from kcpfront.authentication.credential import Credential
from kcpfront.authentication.key_set import peek
from kcpfront.authentication.provider import Provider
from kcpshard.callouts.calls import Callouts

_CONNECTION = 3  # the members of an Issuer that say where its keys are: URLs and authority


class ProviderTokens:
    """`run` keeps the keys fresh until cancelled; `replace` takes a changed configuration into use."""

    def __init__(self, issuers: Sequence[Issuer], callouts: Callouts, api_audiences: Sequence[str]) -> None:
        self._callouts, self._api_audiences = callouts, tuple(api_audiences)
        self._replaced = asyncio.Event()
        self._providers: dict[str, Provider] = {}
        self.replace(issuers)

    def replace(self, issuers: Sequence[Issuer]) -> None:
        """An issuer that is where it was keeps its keys."""
        before = self._providers
        self._providers = {}
        for issuer in issuers:
            made = self._providers[issuer.url] = Provider(issuer, self._callouts)
            known = before.get(issuer.url)
            if known is not None and known.issuer[:_CONNECTION] == issuer[:_CONNECTION]:
                made.keys = known.keys
        self._replaced.set()

    async def run(self) -> None:
        while True:
            self._replaced.clear()
            async with asyncio.TaskGroup() as tasks:
                fetching = [tasks.create_task(provider.run()) for provider in self._providers.values()]
                await self._replaced.wait()
                for task in fetching:
                    task.cancel()

    async def prove(self, token: str, audiences: Sequence[str]) -> Credential | None:
        """A token that its provider has issued for us is for this API server: for none but its audiences."""
        header = peek(token)
        provider = self._providers.get(header.issuer) if header is not None else None
        meant = [each for each in self._api_audiences if each in audiences]
        if header is None or provider is None or not meant:
            return None
        return await provider.prove(token, header, self._api_audiences)
