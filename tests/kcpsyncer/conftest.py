"""Embedded servers: one in the place of ours, one in the place of physical clusters."""

from collections.abc import Iterator

import pytest

import kcpfront
from kcpfront.embedding import EmbeddedServer


@pytest.fixture(scope="session")
def upstream_server() -> Iterator[EmbeddedServer]:
    with kcpfront.embedded() as server:
        yield server


@pytest.fixture(scope="session")
def physical_server() -> Iterator[EmbeddedServer]:
    with kcpfront.embedded(api_set="full") as server:
        yield server
