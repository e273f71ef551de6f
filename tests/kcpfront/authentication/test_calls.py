import pytest

from kcpfront.authentication.calls import operators_callouts
from tests.contracts.webhook_server import json_reply, webhook_server


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "fd00::1", "8.8.8.8"])
async def test_an_operator_may_mean_any_address(address: str) -> None:
    callouts = operators_callouts()
    assert callouts._policy.refuses(address) == ""
    await callouts.close()


async def test_the_certificate_is_checked_all_the_same() -> None:
    async with webhook_server(lambda _: json_reply({}), names=("somewhere.else",)) as server:
        callouts = operators_callouts()
        with pytest.raises(Exception, match="certificate is not valid for localhost"):
            await callouts.call(0, server.config(), "GET", b"", 5)
        await callouts.close()
