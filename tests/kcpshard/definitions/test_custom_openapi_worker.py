import zlib

import orjson
import pytest

from kcpshard.api.errors import ServiceUnavailable
from kcpshard.definitions.custom_openapi_worker import CustomOpenApi, build_job
from kcpshard.workers.pool import WorkerPool
from tests.contracts.custom_types import crd

PATH = "/openapi/v3/apis/example.com/v1"


async def definitions(head: bytes) -> bytes:
    obj = crd()
    obj["status"] = {"acceptedNames": {**obj["spec"]["names"], "listKind": "WidgetList"}}
    return head + orjson.dumps([obj])


@pytest.mark.process
async def test_documents_are_built_once_in_a_worker() -> None:
    pool, asked = WorkerPool(), list[tuple[str, str]]()

    async def run(key: str, function: str, payload: bytes) -> bytes:
        asked.append((key, function))
        return await pool.run(key, function, payload)

    documents = CustomOpenApi("minimal")
    documents.run = run
    try:
        first = await documents.get("root:a", PATH, "h", definitions)
        assert "com.example.v1.Widget" in orjson.loads(first)["components"]["schemas"]
        assert await documents.get("root:b", PATH, "h", definitions) == first
        assert [key for key, _ in asked] == ["root:a"]
    finally:
        await pool.close()


async def test_without_workers_the_same() -> None:
    found = await CustomOpenApi("minimal").get("root:a", PATH, "h", definitions)
    assert zlib.decompress(build_job(await definitions(f"minimal {PATH}\n".encode()))) == found


async def test_nothing_is_kept_of_a_failed_attempt() -> None:
    documents = CustomOpenApi("minimal")

    async def changing(_head: bytes) -> bytes:
        raise ServiceUnavailable("a definition is changing")

    with pytest.raises(ServiceUnavailable):
        await documents.get("root:a", PATH, "h", changing)
    assert await documents.get("root:a", PATH, "h", definitions)
