import ssl

import pytest

from kcpshard.callouts.channel import Channel, trust
from kcpshard.callouts.errors import InvalidTarget, Unreachable
from tests.contracts.webhook_server import Raw, json_reply, webhook_server


def test_trust_is_strict() -> None:
    found = trust(b"")
    assert found.verify_mode == ssl.CERT_REQUIRED
    assert found.check_hostname
    assert found.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert trust(b"", insecure=True).verify_mode == ssl.CERT_NONE
    with pytest.raises(InvalidTarget):
        trust("ä".encode())


async def test_the_address_that_answered_last_comes_first() -> None:
    async with webhook_server(lambda _asked: json_reply({}), names=["a.example"]) as server:
        channel = Channel("a.example", "a.example", server.port, trust(server.bundle))
        for _ in range(2):
            answer = await channel.send("POST", ["127.0.0.9", "127.0.0.1"], "/", {}, b"{}")
            assert (answer.code, answer.body) == (200, b"{}")
        assert server.connections == 1
        with pytest.raises(Unreachable, match="connection refused"):
            await channel.send("POST", ["127.0.0.9"], "/", {}, b"{}")
        await channel.close()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
async def test_what_broke_is_not_sent_again_by_the_http_client(method: str) -> None:
    """Neither on a new connection nor, where the caller says so, on a kept one."""
    async with webhook_server(lambda _asked: Raw(b"") if broken else json_reply({}), names=["a.example"]) as server:
        channel = Channel("a.example", "a.example", server.port, trust(server.bundle))
        broken = True
        with pytest.raises(Unreachable, match="EOF"):
            await channel.send(method, ["127.0.0.1"], "/", {}, b"")
        assert len(server.asked) == 1
        broken = False
        await channel.send(method, ["127.0.0.1"], "/", {}, b"")
        broken = True
        with pytest.raises(Unreachable, match="EOF"):
            await channel.open(method, ["127.0.0.1"], "/", {}, b"", again=False)
        assert len(server.asked) == 3
        await channel.close()
