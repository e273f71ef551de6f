import orjson
import pytest
import yaml

from kcpfront.authentication.credential import ANONYMOUS_IDENTITY
from kcpfront.filters.request_body import MAX_ANONYMOUS_BYTES, MAX_BODY_BYTES, read_object, read_patch
from kcpfront.protobuf.objects import encode_object
from kcpshard.api.errors import BadRequest, RequestEntityTooLarge, Unauthorized, UnsupportedMediaType
from kcpshard.workers.pool import WorkerPool
from tests.kcpfront.exchanges import exchange


async def test_json_passes_untouched() -> None:
    asked = exchange(body=b'{ "a" : 1 }', headers={"Content-Type": "application/json"})
    await read_object(asked)
    assert asked.body == b'{ "a" : 1 }' and asked.duplicate_fields == []


async def test_no_content_type_is_json() -> None:
    asked = exchange(body=b'{"a":1,"a":2}')
    await read_object(asked)
    assert asked.duplicate_fields == ["a"]


async def test_yaml_becomes_json() -> None:
    asked = exchange(body=b"a: yes\na: 2\n", headers={"Content-Type": "application/yaml; charset=utf-8"})
    await read_object(asked)
    assert asked.body == b'{"a":2}' and asked.duplicate_fields == ['line 2: key "a" already set in map']


async def test_broken_json_is_the_shards_to_explain() -> None:
    asked = exchange(body=b'{"a"')
    await read_object(asked)
    assert asked.body == b'{"a"'


async def test_strangers_may_send_little() -> None:
    for size, identity in ((MAX_ANONYMOUS_BYTES, ANONYMOUS_IDENTITY), (MAX_BODY_BYTES, b"{}")):
        asked = exchange(body=b" " * size)
        asked.identity = identity
        await read_object(asked)
        assert len(asked.body) == size
    for read in (read_object, read_patch):
        asked = exchange(
            body=b" " * (MAX_ANONYMOUS_BYTES + 1), headers={"Content-Type": "application/merge-patch+json"}
        )
        if read is read_object:
            asked = exchange(body=b" " * (MAX_ANONYMOUS_BYTES + 1))
        asked.identity = ANONYMOUS_IDENTITY
        with pytest.raises(Unauthorized, match="need a credential"):
            await read(asked)


@pytest.mark.parametrize("media_type", ["application/cbor", "text/plain"])
async def test_other_media_types_are_refused(media_type: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="accepted media types include: application/json, application/yaml"):
        await read_object(exchange(body=b"x", headers={"Content-Type": media_type}))


@pytest.mark.parametrize(
    ("body", "media_type"),
    [(b"[" * 101 + b"]" * 101, "application/json"), (b"a: [", "application/yaml"), (b"- " * 200, "application/yaml")],
)
async def test_what_cannot_be_read_is_refused(body: bytes, media_type: str) -> None:
    with pytest.raises(BadRequest):
        await read_object(exchange(body=body, headers={"Content-Type": media_type}))


async def test_large_bodies_are_refused() -> None:
    with pytest.raises(RequestEntityTooLarge):
        await read_object(exchange(body=b" " * (MAX_BODY_BYTES + 1)))


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [
        ("application/json-patch+json", 1),
        ("application/merge-patch+json; charset=utf-8", 2),
        ("application/strategic-merge-patch+json", 3),
        ("application/apply-patch+yaml", 4),
    ],
)
async def test_patches_are_told_apart(media_type: str, kind: int) -> None:
    asked = exchange(method="PATCH", body=b'{"a":1}', headers={"Content-Type": media_type})
    assert await read_patch(asked) == kind
    assert asked.body == b'{"a":1}'


async def test_apply_takes_yaml() -> None:
    asked = exchange(method="PATCH", body=b"a: 1", headers={"Content-Type": "application/apply-patch+yaml"})
    await read_patch(asked)
    assert asked.body == b'{"a":1}'


async def test_braces_that_json_does_not_know_are_yaml() -> None:
    asked = exchange(body=b' {"a": {"b": 1,},}', headers={"Content-Type": "application/apply-patch+yaml"})
    await read_patch(asked)
    assert asked.body == b'{"a":{"b":1}}'


async def test_what_is_applied_is_yaml_also_in_braces() -> None:
    asked = exchange(body=b'{"a":1,\n"a":2}', headers={"Content-Type": "application/apply-patch+yaml"})
    await read_patch(asked)
    assert asked.duplicate_fields == ['line 2: key "a" already set in map']


async def test_other_patches_are_refused() -> None:
    with pytest.raises(UnsupportedMediaType, match="415: Unsupported Media Type"):
        await read_patch(exchange(method="PATCH", headers={"Content-Type": "application/json"}))


PROTOBUF = {"Content-Type": "application/vnd.kubernetes.protobuf"}
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


async def test_protobuf_becomes_json() -> None:
    sent = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"x": "y"}}
    asked = exchange(CONFIG_MAPS, "POST", PROTOBUF, encode_object(sent))
    await read_object(asked)
    assert orjson.loads(asked.body) == sent


async def test_subresources_have_kinds_of_their_own() -> None:
    asked = exchange(f"{CONFIG_MAPS[:-10]}pods/a/eviction", "POST", PROTOBUF, b"k8s\0\x12\x00")
    await read_object(asked)
    assert orjson.loads(asked.body) == {"kind": "Eviction", "apiVersion": "policy/v1"}


async def test_delete_options_in_protobuf_for_any_type() -> None:
    options = {"kind": "DeleteOptions", "apiVersion": "apps/v1", "propagationPolicy": "Foreground"}
    asked = exchange("/apis/example.com/v1/foos/a", "DELETE", PROTOBUF, encode_object(options))
    await read_object(asked)
    assert orjson.loads(asked.body) == options


async def test_custom_resources_have_no_protobuf() -> None:
    with pytest.raises(UnsupportedMediaType, match="in an unknown format"):
        await read_object(exchange("/apis/example.com/v1/foos", "POST", PROTOBUF, b"k8s\0\x12\x00"))


@pytest.mark.parametrize(
    ("method", "body", "text"),
    [
        ("POST", b"x", r"^the object provided is unrecognized \(must be of type ConfigMap\): .* \(78\)$"),
        ("POST", b'{"a":1}', r' \(\{"a":1\}\)$'),
        ("POST", b"k8s\0" + b"\x0a" * 40, r" \(6b387300(0a){26} \.\.\.\)$"),
        (
            "POST",
            b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x02\x0a\x05",
            '^ConfigMap in version "v1" cannot be handled',
        ),
        ("POST", b"k8s\0", "empty body"),
        ("POST", b"k8s\0\x0a", "unexpected EOF"),
        ("DELETE", b"x", "^provided data does not appear to be a protobuf message"),
    ],
)
async def test_broken_protobuf(method: str, body: bytes, text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        await read_object(exchange(CONFIG_MAPS, method, PROTOBUF, body))


async def test_an_empty_body_is_the_shards_to_refuse() -> None:
    asked = exchange(CONFIG_MAPS, "POST", PROTOBUF)
    await read_object(asked)
    assert asked.body == b""


async def test_large_protobuf() -> None:
    sent = {"kind": "ConfigMap", "apiVersion": "v1", "data": {"x": "y" * 100_000}}
    asked = exchange(CONFIG_MAPS, "POST", PROTOBUF, encode_object(sent))
    await read_object(asked)
    assert orjson.loads(asked.body) == sent


async def test_a_large_body_is_read_by_a_worker_as_here() -> None:
    workers = WorkerPool(1)
    data = {f"k{n:06d}": "v" for n in range(8000)}
    text = orjson.dumps({"kind": "ConfigMap", "apiVersion": "v1", "data": data})
    try:
        for content_type, body in (
            ("application/json", text.replace(b'"k000001":"v"', b'"k000001":"v","k000001":"v"')),
            ("application/yaml", yaml.safe_dump(orjson.loads(text)).encode() + b"kind: ConfigMap\n"),
        ):
            here = exchange(CONFIG_MAPS, "POST", {"Content-Type": content_type}, body)
            there = exchange(CONFIG_MAPS, "POST", {"Content-Type": content_type}, body)
            await read_object(here)
            await read_object(there, workers)
            assert there.body == here.body
            assert there.duplicate_fields == here.duplicate_fields != []
        nested = b'{"a":"' + b"x" * 100_000 + b'","b":' + b"[" * 101
        deep = exchange(CONFIG_MAPS, "POST", {"Content-Type": "application/json"}, nested)
        with pytest.raises(BadRequest, match="max depth"):
            await read_object(deep, workers)
        assert workers.statistics().jobs == 3
    finally:
        await workers.close()
