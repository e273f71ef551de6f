import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpshard.api.errors import BadRequest
from kcpshard.definitions.catalog import Catalog
from kcpshard.verbs.decoding import decode_object, go_kind, syntax_fault
from tests.contracts.api_client import CONFIGMAPS, ApiClient, memory_shard

CATALOG = Catalog()
CONFIGMAP = CATALOG.find(None, "", "v1", "configmaps")
assert CONFIGMAP is not None


@pytest.mark.parametrize("body", [b"{}", b"null", b'{"kind":"ConfigMap"}', b'{"apiVersion":"v1"}', b'{"kind":""}'])
def test_type_may_be_left_out(body: bytes) -> None:
    assert CONFIGMAP is not None
    found = decode_object(body, CONFIGMAP, CATALOG, None)
    assert (found["apiVersion"], found["kind"]) == ("v1", "ConfigMap")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)"),
        ("[]", "(5b5d)"),
        (
            '{"apiVersion": 1, "kind": "ConfigMap"}',
            'field .apiVersion of type string ({"apiVersion": 1, "kind": "Con ...)',
        ),
        ('{"apiVersion":"a/b/c"}', 'unexpected GroupVersion string: a/b/c ({"apiVersion":"a/b/c"})'),
        (
            '{"apiVersion":"v2","kind":"ConfigMap"}',
            'ConfigMap in version "v2" cannot be handled as a ConfigMap: no kind "ConfigMap" is registered',
        ),
        ('{"apiVersion":"v1","kind":"Secret"}', "converting (v1.Secret) to (core.ConfigMap): unknown conversion"),
    ],
)
def test_what_cannot_be_read_is_told_as_upstream(body: str, message: str) -> None:
    assert CONFIGMAP is not None
    with pytest.raises(BadRequest) as caught:
        decode_object(body.encode(), CONFIGMAP, CATALOG, None)
    assert message in caught.value.message


def test_another_version_of_the_kind() -> None:
    events = CATALOG.find(None, "", "v1", "events")
    assert events is not None
    with pytest.raises(BadRequest, match=r"the API version in the data \(events.k8s.io/v1\) does not match"):
        decode_object(b'{"apiVersion":"events.k8s.io/v1","kind":"Event"}', events, CATALOG, None)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"a":}', "invalid character '}' looking for beginning of value"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ('{"a":1}}', "invalid character '}' after top-level value"),
        ('{"a":tru}', "invalid character '}' in literal true (expecting 'e')"),
        ('{"a":01}', "invalid character '1' after object key:value pair"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":[1 2]}', "invalid character '2' after array element"),
        ('"\\q"', "invalid character 'q' in string escape code"),
        ('"a\nb"', "invalid character '\\n' in string literal"),
        ("[1", "unexpected end of JSON input"),
        ("  ", "unexpected end of JSON input"),
    ],
)
def test_syntax_faults_are_worded_as_in_go(text: str, fault: str) -> None:
    assert syntax_fault(text.encode()) == fault


@given(st.text('{}[]",:01tfn\\ ab', max_size=12))
def test_syntax_faults_end(text: str) -> None:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        assert syntax_fault(text.encode())


@pytest.mark.parametrize(
    ("value", "kind"), [(True, "bool"), (1, "number"), ("", "string"), ([], "array"), ({}, "object")]
)
def test_json_kinds(value: object, kind: str) -> None:
    assert go_kind(json.loads(json.dumps(value))) == kind


async def test_bytes_outside_utf_8_become_replacement_characters() -> None:
    client = ApiClient(memory_shard())
    body = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"x\xffy"}}'
    request = client.request("POST", CONFIGMAPS, {})
    request.body = body
    reply = await client.send(request)
    assert (reply.code, reply.json["data"]["k"]) == (201, "x\ufffdy")
