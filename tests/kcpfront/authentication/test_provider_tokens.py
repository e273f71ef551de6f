import asyncio

import pytest

from kcpfront.authentication.calls import operators_callouts
from kcpfront.authentication.configuration import read_configuration
from kcpfront.authentication.credential import InvalidToken
from kcpfront.authentication.provider_tokens import ProviderTokens
from tests.kcpfront.issuer import local_issuer

API = ("api", "also")


async def test_the_issuer_decides_who_is_asked() -> None:
    async with local_issuer() as one, local_issuer() as two, asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        document = one.document()
        document["jwt"].append(two.configuration())
        callouts = operators_callouts()
        made = ProviderTokens(read_configuration(document).issuers, callouts, API)
        running = tasks.create_task(made.run())
        for issuer in (one, two):
            found = await made.prove(issuer.token(sub="eve"), ("api",))
            assert found is not None and found.user.username == "oidc:eve" and found.audiences == API
        assert await made.prove(one.token(iss="https://nobody"), API) is None
        assert await made.prove("opaque", API) is None
        # The API server's audiences are ours to promise, others' are not.
        assert await made.prove(one.token(), ("vault",)) is None
        with pytest.raises(InvalidToken):  # signed by one, in the name of the other
            await made.prove(one.token(iss=two.url), API)
        running.cancel()
        await callouts.close()


async def test_a_changed_configuration() -> None:
    async with local_issuer() as one, local_issuer() as two, asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        callouts = operators_callouts()
        made = ProviderTokens(read_configuration(one.document()).issuers, callouts, API)
        running = tasks.create_task(made.run())
        assert await made.prove(one.token(), API)
        changed = one.document(claimMappings={"username": {"claim": "sub", "prefix": "new:"}})
        changed["jwt"].append(two.configuration())
        one.is_down = True  # its keys are kept
        made.replace(read_configuration(changed).issuers)
        found = await made.prove(one.token(), API)
        assert found is not None and found.user.username == "new:ada"
        assert await made.prove(two.token(), API)
        made.replace(read_configuration(two.document()).issuers)
        assert await made.prove(one.token(), API) is None
        running.cancel()
        await callouts.close()
