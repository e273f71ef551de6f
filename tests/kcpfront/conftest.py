"""A front on a fake router, without TLS, and a plain HTTP client that hides nothing."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kcpfront.credential_files import CredentialFiles
from kcpfront.server import Front
from kcpfront.settings import Settings
from tests.kcpfront.fake_router import FakeRouter
from tests.kcpfront.http_client import HttpClient

TOKEN = "secret-of-ada"
TOKEN_LINE = f'{TOKEN},ada,uid-1,"system:masters,devs"\n'


@pytest.fixture
def router() -> FakeRouter:
    return FakeRouter()


@pytest.fixture
async def front(router: FakeRouter, tmp_path: Path) -> AsyncIterator[Front]:
    (tmp_path / "tokens.csv").write_text(TOKEN_LINE)
    files = CredentialFiles(tmp_path, tmp_path / "tokens.csv")
    made = Front(router, router, files, Settings(drain_s=2.0), tls=False)
    yield made
    await made.stop()


@pytest.fixture
async def client(front: Front) -> AsyncIterator[HttpClient]:
    port = await front.start("127.0.0.1", 0)
    made = HttpClient("127.0.0.1", port, TOKEN)
    yield made
    made.close()
