import asyncio

import orjson
import pytest

from kcpshard.definitions.custom_openapi_worker import CustomOpenApi
from tests.contracts.custom_types import crd

PATH = "/openapi/v3/apis/example.com/v1"


@pytest.mark.process
async def test_documents_are_built_once() -> None:
    asked = []

    async def definitions() -> bytes:
        asked.append(1)
        obj = crd()
        obj["status"] = {"acceptedNames": {**obj["spec"]["names"], "listKind": "WidgetList"}}
        return orjson.dumps([obj])

    worker = CustomOpenApi("minimal")
    try:
        first = await worker.get(PATH, "h", definitions)
        assert "com.example.v1.Widget" in orjson.loads(first)["components"]["schemas"]
        assert await worker.get(PATH, "h", definitions) == first
        assert asked == [1]
    finally:
        await worker.close()


@pytest.mark.process
@pytest.mark.parametrize("pause_s", [0.0, 0.2])
async def test_a_process_that_has_died_is_replaced(pause_s: float) -> None:
    async def definitions() -> bytes:
        obj = crd()
        obj["status"] = {"acceptedNames": {**obj["spec"]["names"], "listKind": "WidgetList"}}
        return orjson.dumps([obj])

    worker = CustomOpenApi("minimal")
    try:
        first = await worker.get(PATH, "h", definitions)
        assert worker._process is not None
        worker._process.kill()
        await asyncio.sleep(pause_s)
        assert await worker.get(PATH, "another", definitions) == first
        worker._process.stdin.close()  # type: ignore[union-attr]
        await asyncio.sleep(0)
        assert await worker.get(PATH, "a third", definitions) == first
    finally:
        await worker.close()
