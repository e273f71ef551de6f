import asyncio
from pathlib import Path

import pytest

from kcpfront.credential_files import CredentialError
from kcpfront.process import FrontProcess, Options
from kcpfront.settings import Settings
from tests.kcpfront.http_client import HttpClient
from tests.kcpfront.test_credential_files import client_context
from tests.kcpfront.tls_files import Authority


def options(pki: Path) -> Options:
    return Options("127.0.0.1", 0, False, pki, None, ["unix:" + str(pki / "none.sock")], None, "front-1")


async def test_without_a_map_it_is_alive_but_not_ready(tmp_path: Path) -> None:
    authority = Authority("a")
    authority.issue(tmp_path / "serving.crt", tmp_path / "serving.key", "server")
    process = FrontProcess(options(tmp_path), Settings(drain_s=1.0))
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(process.run(stop, ready))
        while process._front._listener is None:
            await asyncio.sleep(0.01)
        client = HttpClient("127.0.0.1", process._front._listener.port, None, client_context(authority))
        assert (await client.get("/livez")).code == 200
        assert b"[-]shard-map failed" in (await client.get("/readyz")).body
        assert not ready.done()
        client.close()
        stop.set()


async def test_what_cannot_start_says_why(tmp_path: Path) -> None:
    process = FrontProcess(options(tmp_path), Settings())
    with pytest.raises(BaseExceptionGroup) as caught:
        await process.run(asyncio.Event(), asyncio.get_running_loop().create_future())
    assert caught.group_contains(CredentialError)
