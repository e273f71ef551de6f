from collections.abc import AsyncIterator

import pytest

from tests.contracts.api_client import ApiClient, memory_shard


@pytest.fixture
async def full() -> AsyncIterator[ApiClient]:
    """A logical cluster of the full API set."""
    found = ApiClient(memory_shard(api_set="full"))
    yield found
    await found.shard.store.close()
