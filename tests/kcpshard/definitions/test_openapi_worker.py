import asyncio
import json

import pytest

from kcpshard.api.errors import ServiceUnavailable
from kcpshard.definitions import openapi_worker
from kcpshard.definitions.openapi_worker import OpenApiDocuments


async def test_documents_are_built_once_for_all_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    build_all = openapi_worker._build_all

    async def counted(api_set: str) -> object:
        built.append(api_set)
        return await build_all(api_set)

    monkeypatch.setattr(openapi_worker, "_build_all", counted)
    documents = OpenApiDocuments("minimal")
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(documents.get(p)) for p in ("/openapi/v2", "/openapi/v3/api/v1")]
    assert built == ["minimal"]
    assert json.loads(tasks[0].result())["swagger"] == "2.0"
    assert "/api/v1/namespaces" in json.loads(tasks[1].result())["paths"]


async def test_a_failed_worker_is_a_503_and_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = OpenApiDocuments("no such set")
    with pytest.raises(ServiceUnavailable):
        await documents.get("/openapi/v2")
    monkeypatch.setattr(documents, "_api_set", "minimal")
    assert await documents.get("/openapi/v2")
