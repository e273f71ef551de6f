import orjson
import pytest

from kcpfront.negotiation import PLAIN, Representation, negotiate
from kcpfront.protobuf.decoding import decode_object
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


PROTOBUF = negotiate("application/vnd.kubernetes.protobuf", True)
LIST = ListInfo(5, "", -1, "v1", "ConfigMapList")


def test_protobuf() -> None:
    reply = result_reply(exchange(), PROTOBUF, RESULT)
    assert reply.content_type == "application/vnd.kubernetes.protobuf" and decode_object(reply.body) == OBJ


def test_a_refusal_in_protobuf() -> None:
    error = object_not_found("", "configmaps", "a")
    assert decode_object(result_reply(exchange(), PROTOBUF, Result(404, error.body())).body) == error.status()


def test_metadata_in_protobuf() -> None:
    shown = negotiate("application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")
    found = decode_object(result_reply(exchange(), shown, RESULT).body)
    assert found == {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": OBJ["metadata"]}


def test_what_has_no_protobuf_form_stays_json() -> None:
    odd = orjson.dumps({**OBJ, "data": 7})  # a custom resource under a built-in name
    reply = result_reply(exchange(), PROTOBUF, Result(200, odd))
    assert (reply.content_type, reply.body) == ("application/json", odd)


@pytest.mark.parametrize("shown", [PLAIN, PROTOBUF])
def test_what_a_deletecollection_deleted_is_a_list(shown: Representation) -> None:
    reply = result_reply(exchange(), shown, Result(200, RESULT.body + b"," + RESULT.body, info=LIST))
    found = orjson.loads(reply.body) if shown is PLAIN else decode_object(reply.body)
    assert found["kind"] == "ConfigMapList" and [item["data"] for item in found["items"]] == [{"x": "y"}] * 2


def test_what_a_deletecollection_deleted_as_a_table() -> None:
    found = orjson.loads(result_reply(exchange(), TABLE, Result(200, RESULT.body, info=LIST)).body)
    assert [row["cells"][0] for row in found["rows"]] == ["a"]
