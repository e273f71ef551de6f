import orjson

from kcpfront import responses
from kcpfront.exchange import Reply
from kcpshard.api.errors import TooManyRequests
from kcpshard.api.requests import ListInfo
from tests.kcpfront.exchanges import exchange


def head_of(data: bytes) -> list[bytes]:
    return data.partition(b"\r\n\r\n")[0].split(b"\r\n")


def test_a_reply_is_framed() -> None:
    data = b"".join(responses.encode_reply(exchange(), Reply(201, b"{}", headers=b"ETag: x\r\n")))
    lines = head_of(data)
    assert lines[0] == b"HTTP/1.1 201 Created"
    for line in (b"Audit-Id: id", b"Content-Type: application/json", b"Content-Length: 2", b"ETag: x"):
        assert line in lines
    assert b"Cache-Control: no-cache, private" in lines and any(line.startswith(b"Date: ") for line in lines)
    assert data.endswith(b"\r\n\r\n{}")


def test_a_head_request_gets_no_body() -> None:
    data = b"".join(responses.encode_reply(exchange(method="HEAD"), Reply(200, b"ok")))
    assert data.endswith(b"\r\n\r\n") and b"Content-Length: 2" in data


def test_a_closing_connection_says_so() -> None:
    asked = exchange()
    asked.keep_alive = False
    assert b"Connection: close" in head_of(responses.encode_reply(asked, Reply(200, b""))[0])


def test_errors_name_when_to_come_back() -> None:
    reply = responses.error_reply(TooManyRequests("slow", retry_after_s=3))
    assert (reply.code, reply.headers) == (429, b"Retry-After: 3\r\n")
    assert orjson.loads(reply.body)["reason"] == "TooManyRequests"


def test_a_warning_cannot_leave_its_header() -> None:
    assert responses.warning_headers(['say "hi"\r\nX: y', "b\\"]) == (
        b'Warning: 299 - "say \\"hi\\"  X: y"\r\nWarning: 299 - "b\\\\"\r\n'
    )


INFO = ListInfo(42, "tok", 3, "v1", "ConfigMapList")
FIELDS = {
    "kind": "ConfigMapList",
    "apiVersion": "v1",
    "metadata": {"resourceVersion": "0000000000000000042", "continue": "tok", "remainingItemCount": 3},
}


def test_a_list_is_whole_either_way_round() -> None:
    before, after = responses.list_around(INFO)
    assert orjson.loads(before + b"1,2" + after) == FIELDS | {"items": [1, 2]}
    assert orjson.loads(b'{"items":[' + b"1,2" + responses.list_after(INFO)) == FIELDS | {"items": [1, 2]}


def test_what_is_not_known_is_not_said() -> None:
    assert responses.list_metadata(ListInfo(1, "", -1, "v1", "X")).keys() == {"resourceVersion"}


def test_chunks() -> None:
    assert responses.chunk(b"x" * 17) == b"11\r\n" + b"x" * 17 + b"\r\n"
