import gzip
import json

import pytest

from kcpfront.protobuf.decoding import decode_object
from kcpshard.api.errors import Expired
from kcpshard.rpc.contract import Result
from kcpshard.workers.loop_turns import LoopTurns
from tests.kcpfront.fake_router import FakeRouter
from tests.kcpfront.http_client import HttpClient

PATH = "/api/v1/namespaces/default/configmaps"
ITEM = {"metadata": {"name": "a"}, "data": {"x": "y"}}
FIELDS = {"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": "1700000000000000001"}}


async def test_a_short_list_has_a_length(client: HttpClient, router: FakeRouter) -> None:
    router.objects["a"] = ITEM
    answer = await client.get(PATH + "?limit=500&labelSelector=x")
    assert "content-length" in answer.headers
    assert answer.json() == FIELDS | {"items": [ITEM]}
    assert (router.requests[0].limit, router.requests[0].label_selector) == (500, "x")


async def test_an_empty_list(client: HttpClient, router: FakeRouter) -> None:
    assert (await client.get(PATH)).json()["items"] == []


async def test_a_long_list_is_streamed(client: HttpClient, router: FakeRouter) -> None:
    router.pieces = [b'{"a":1},{"b', b'":2}', b',{"c":3}']
    router.continue_token, router.remaining = "next", 4
    answer = await client.get(PATH)
    assert answer.headers["transfer-encoding"] == "chunked"
    found = answer.json()
    assert found["items"] == [{"a": 1}, {"b": 2}, {"c": 3}]
    assert found["metadata"]["continue"] == "next" and found["metadata"]["remainingItemCount"] == 4


async def test_a_refusal_is_a_status(client: HttpClient, router: FakeRouter) -> None:
    router.list_result = Result(410, Expired("too old").body())
    answer = await client.get(PATH)
    assert (answer.code, answer.json()["reason"]) == (410, "Expired")


async def test_a_table(client: HttpClient, router: FakeRouter) -> None:
    router.objects["a"] = ITEM
    answer = await client.get(PATH, Accept="application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
    assert router.requests[0].want_columns
    assert answer.json()["rows"][0]["cells"] == ["a", 1, "<unknown>"]


async def test_yaml_and_pretty(client: HttpClient, router: FakeRouter) -> None:
    router.objects["a"] = ITEM
    assert (await client.get(PATH, Accept="application/yaml")).body.startswith(b"apiVersion: v1\nitems:\n- data:")
    assert (await client.get(PATH + "?pretty=1")).body.startswith(b'{\n  "kind"')


async def test_large_lists_are_compressed_for_those_who_ask(client: HttpClient, router: FakeRouter) -> None:
    router.objects["a"] = {"data": "x" * 200_000}
    plain = await client.get(PATH)
    packed = await client.get(PATH, Accept_Encoding="gzip")
    assert "content-encoding" not in plain.headers and packed.headers["content-encoding"] == "gzip"
    assert len(packed.body) < 10_000 and gzip.decompress(packed.body) == plain.body
    router.objects["a"] = ITEM
    assert "content-encoding" not in (await client.get(PATH, Accept_Encoding="gzip")).headers


async def test_a_compressed_stream(client: HttpClient, router: FakeRouter) -> None:
    router.pieces = [b'{"a":1}', b',{"b":2}']
    answer = await client.get(PATH, Accept_Encoding="gzip")
    assert json.loads(gzip.decompress(answer.body))["items"] == [{"a": 1}, {"b": 2}]


async def test_shapes_must_fit(client: HttpClient, router: FakeRouter) -> None:
    answer = await client.get(PATH, Accept="application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")
    assert answer.code == 406 and router.requests == []


async def test_a_stream_that_breaks_breaks_the_answer(client: HttpClient, router: FakeRouter) -> None:
    class Broken(list[bytes]):
        def __iter__(self):  # type: ignore[no-untyped-def]
            yield b'{"a":1}'
            raise OSError("the shard is gone")

    router.pieces = Broken([b"", b""])
    try:
        await client.get(PATH)
    except (EOFError, ConnectionError):
        return
    raise AssertionError("the client must notice that the list is not whole")


PROTOBUF = "application/vnd.kubernetes.protobuf"


async def test_protobuf(client: HttpClient, router: FakeRouter) -> None:
    router.pieces = [json.dumps(ITEM).encode()[:9], json.dumps(ITEM).encode()[9:], b"," + json.dumps(ITEM).encode()]
    router.continue_token = "next"
    answer = await client.get(PATH, Accept=f"{PROTOBUF},application/json")
    assert answer.headers["content-type"] == PROTOBUF
    found = decode_object(answer.body)
    assert found["items"] == [ITEM, ITEM]
    assert (found["kind"], found["metadata"]["continue"]) == ("ConfigMapList", "next")


async def test_metadata_in_protobuf_of_any_type(client: HttpClient, router: FakeRouter) -> None:
    router.objects["a"] = ITEM
    accept = f"{PROTOBUF};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    found = decode_object((await client.get("/apis/example.com/v1/foos", Accept=accept)).body)
    assert found["kind"] == "PartialObjectMetadataList" and found["items"] == [{"metadata": {"name": "a"}}]


async def test_custom_resources_are_json(client: HttpClient, router: FakeRouter) -> None:
    answer = await client.get("/apis/example.com/v1/foos", Accept=f"{PROTOBUF},application/json")
    assert answer.headers["content-type"] == "application/json"
    answer = await client.get("/apis/example.com/v1/foos", Accept=PROTOBUF)
    assert (answer.code, decode_object(answer.body)["reason"]) == (406, "NotAcceptable")


async def test_a_custom_resource_under_a_built_in_name_is_json(client: HttpClient, router: FakeRouter) -> None:
    router.objects = {"a": ITEM, "b": {"data": 7}}
    answer = await client.get(PATH, Accept=PROTOBUF)
    assert answer.json()["items"] == [ITEM, {"data": 7}]


async def test_between_the_pieces_of_a_long_list_it_is_others_turn(
    client: HttpClient, router: FakeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[str] = []

    async def turn(_turns: LoopTurns, key: str) -> None:
        turns.append(key)

    monkeypatch.setattr(LoopTurns, "turn", turn)
    router.pieces = [b'{"a":1}', b',{"b":2}', b',{"c":3}']
    assert len((await client.get("/clusters/root:a" + PATH)).json()["items"]) == 3
    assert turns == ["root:a"] * 3
