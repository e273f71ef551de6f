import time
from collections.abc import AsyncIterator

import orjson
import pytest

from kcpfront import rendering
from kcpfront.negotiation import PLAIN, PROTOBUF, Representation, negotiate
from kcpfront.protobuf.objects import NoProtobuf
from kcpfront.rendering import Renderer, finished_reply, renderer_for, reply_of, shown_items
from kcpfront.representations import around_items, finished, result_reply, transformed_list
from kcpshard.api.errors import BadRequest, NotAcceptable
from kcpshard.api.requests import ListInfo
from kcpshard.rpc.contract import Result
from kcpshard.workers.loop_turns import LoopTurns
from kcpshard.workers.pool import WorkerPool
from tests.kcpfront.exchanges import exchange

ITEMS = [{"metadata": {"name": f"m{n}"}, "data": {"a": "},{" * n}} for n in range(60)]
TEXT = b",".join(map(orjson.dumps, ITEMS))
TABLE = negotiate("application/json;as=Table;v=v1;g=meta.k8s.io")
PARTIAL = negotiate("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")
INFO = ListInfo(1, "", -1, "v1", "ConfigMapList")


@pytest.fixture
async def workers() -> AsyncIterator[WorkerPool]:
    made = WorkerPool(1)
    yield made
    await made.close()


async def pieces(text: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(text), size):
        yield text[start : start + size]


@pytest.mark.parametrize("size", [7, 100, 1000, 1 << 20])
@pytest.mark.parametrize("shown", [TABLE, PARTIAL])
async def test_sliced_a_list_is_what_it_is_as_a_whole(workers: WorkerPool, size: int, shown: Representation) -> None:
    asked = exchange()
    items = await shown_items(pieces(TEXT, size), renderer_for(asked, shown, b"", ""), workers, LoopTurns())
    before, after = around_items(asked, shown, INFO, b"")
    assert orjson.loads(before + items + after) == orjson.loads(transformed_list(asked, shown, TEXT, INFO, b""))
    assert workers.statistics().jobs == 0


async def test_a_large_item_is_shown_by_a_worker(workers: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "LARGE_BYTES", 300)
    asked = exchange()
    items = await shown_items(pieces(TEXT, 200), renderer_for(asked, TABLE, b"", ""), workers, LoopTurns())
    rows = orjson.loads(b"[" + items + b"]")
    assert [row["cells"][0] for row in rows] == [item["metadata"]["name"] for item in ITEMS]  # type: ignore[index]
    assert workers.statistics().jobs > 0


async def test_an_empty_list(workers: WorkerPool) -> None:
    assert await shown_items(pieces(b"", 1), renderer_for(exchange(), TABLE, b"", ""), workers, LoopTurns()) == b""


@pytest.mark.parametrize("large", [300, 1 << 20])
async def test_what_has_no_protobuf_form_says_so_from_afar_too(
    workers: WorkerPool, monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    monkeypatch.setattr(rendering, "LARGE_BYTES", large)
    renderer = Renderer(PROTOBUF, "", "", "", exchange().info, b"", time.time())
    with pytest.raises(NoProtobuf):
        await shown_items(pieces(TEXT, 200), renderer, workers, LoopTurns())


@pytest.mark.parametrize("shown", [negotiate("application/yaml"), TABLE, negotiate(PROTOBUF, True)])
async def test_a_large_object_is_shown_by_a_worker_as_here(
    workers: WorkerPool, monkeypatch: pytest.MonkeyPatch, shown: Representation
) -> None:
    monkeypatch.setattr(rendering, "LARGE_BYTES", 10)
    body = orjson.dumps({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"x": "y"}})
    result = Result(200, body, warnings=["careful"])
    assert await reply_of(workers, exchange(), shown, result) == result_reply(exchange(), shown, result)
    assert workers.statistics().jobs == 1


async def test_plain_json_stays_here(workers: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "LARGE_BYTES", 10)
    assert (await finished_reply(workers, exchange(), PLAIN, 200, b'{"a":"bcdefghij"}')).body == b'{"a":"bcdefghij"}'
    assert workers.statistics().jobs == 0
    asked = exchange("/api/v1/nodes/n?pretty=true")
    found = await finished_reply(workers, asked, PLAIN, 200, b'{"a":"bcdefghij"}')
    assert found == finished(asked, PLAIN, 200, b'{"a":"bcdefghij"}')
    assert workers.statistics().jobs == 1


async def test_a_refusal_comes_back_as_one(workers: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "LARGE_BYTES", 10)
    with pytest.raises(NotAcceptable):
        await reply_of(workers, exchange(), PARTIAL, Result(200, b'{"kind":"ConfigMap","data":{}}'))
    with pytest.raises(BadRequest):
        renderer_for(exchange("/api/v1/nodes?includeObject=x"), TABLE, b"", "")
