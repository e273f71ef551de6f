import pytest

from kcpfront.authentication.bootstrap_tokens import BootstrapTokens
from kcpfront.authentication.credential import digest
from kcpshard.api.proofs import BootstrapToken, decode_proof


async def test_what_it_claims_is_for_the_shard_to_prove() -> None:
    found = await BootstrapTokens().prove("abcdef.0123456789abcdef", ("api",))
    assert found is not None
    assert (found.user.username, found.user.groups) == ("system:bootstrap:abcdef", ())
    assert decode_proof(found.proof).bootstrap == BootstrapToken("abcdef", digest("0123456789abcdef").hex())
    assert b"0123456789abcdef" not in found.proof


@pytest.mark.parametrize("token", ["", "abcdef", "abcdef.0123456789abcde", "ABCDEF.0123456789abcdef", "a.b.c"])
async def test_others_are_none(token: str) -> None:
    assert await BootstrapTokens().prove(token, ("api",)) is None
