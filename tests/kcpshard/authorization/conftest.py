from collections.abc import AsyncIterator

import pytest

from tests.contracts.api_client import ApiClient, memory_shard


@pytest.fixture
async def client() -> AsyncIterator[ApiClient]:
    """An administrator of the logical cluster `root`, which is not born yet."""
    found = ApiClient(memory_shard())
    yield found
    await found.shard.store.close()
