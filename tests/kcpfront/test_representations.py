import orjson
import pytest

from kcpfront.negotiation import PLAIN, negotiate
from kcpfront.representations import result_reply, transformed_list, wants_pretty
from kcpshard.api.errors import NotAcceptable, object_not_found
from kcpshard.api.requests import ListInfo
from kcpshard.rpc.contract import Result
from tests.kcpfront.exchanges import exchange

OBJ = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"x": "y"}}
RESULT = Result(200, orjson.dumps(OBJ), warnings=["careful"], retry_after_s=2)
TABLE = negotiate("application/json;as=Table;v=v1;g=meta.k8s.io")


def test_json_passes_with_its_headers() -> None:
    reply = result_reply(exchange(), PLAIN, RESULT)
    assert reply.body == RESULT.body
    assert reply.headers == b'Warning: 299 - "careful"\r\nRetry-After: 2\r\n'


def test_yaml() -> None:
    reply = result_reply(exchange(), negotiate("application/yaml"), RESULT)
    assert reply.content_type == "application/yaml"
    assert reply.body == b'apiVersion: v1\ndata:\n  x: "y"\nkind: ConfigMap\nmetadata:\n  name: a\n'


def test_pretty() -> None:
    reply = result_reply(exchange("/api/v1/nodes/n?pretty=true"), PLAIN, RESULT)
    assert reply.body.startswith(b'{\n  "kind": "ConfigMap"')
    assert wants_pretty(exchange(headers={"User-Agent": "curl/8.0"}))


def test_a_table_of_an_object() -> None:
    reply = result_reply(exchange(), TABLE, RESULT)
    assert orjson.loads(reply.body)["rows"][0]["cells"] == ["a", 1, "<unknown>"]


def test_a_refusal_stays_a_status() -> None:
    error = object_not_found("", "configmaps", "a")
    assert orjson.loads(result_reply(exchange(), TABLE, Result(404, error.body())).body)["kind"] == "Status"


def test_a_success_status_stays_one() -> None:
    assert orjson.loads(result_reply(exchange(), TABLE, Result(200, b'{"kind":"Status"}')).body) == {"kind": "Status"}


def test_the_shape_must_fit() -> None:
    with pytest.raises(NotAcceptable):
        result_reply(exchange(), negotiate("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"), RESULT)


def test_a_list_as_a_table() -> None:
    info = ListInfo(5, "", -1, "v1", "ConfigMapList")
    asked = exchange("/api/v1/configmaps?includeObject=None")
    found = orjson.loads(transformed_list(asked, TABLE, RESULT.body + b"," + RESULT.body, info, b""))
    assert found["metadata"] == {"resourceVersion": "0000000000000000005"}
    assert found["rows"] == [{"cells": ["a", 1, "<unknown>"]}] * 2


def test_an_empty_list() -> None:
    info = ListInfo(5, "", -1, "v1", "ConfigMapList")
    shown = negotiate("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")
    assert orjson.loads(transformed_list(exchange(), shown, b"", info, b""))["items"] == []
