import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcp.process_logs import MAX_LINE, LineSplitter, mark_line


@given(st.binary(), st.lists(st.integers(0, 60)))
def test_however_the_bytes_arrive_the_lines_are_the_same(data: bytes, cuts: list[int]) -> None:
    splitter, found, start = LineSplitter(), [], 0
    for cut in sorted(cuts):
        found += splitter.feed(data[start:cut])
        start = max(start, cut)
    found += splitter.feed(data[start:]) + splitter.finish()
    assert found == (data.split(b"\n") if not data.endswith(b"\n") and data else data.split(b"\n")[:-1])


def test_an_endless_line_is_cut() -> None:
    splitter = LineSplitter()
    lines = splitter.feed(b"x" * (2 * MAX_LINE + 1))
    assert [len(line) for line in lines] == [MAX_LINE, MAX_LINE]
    assert splitter.finish() == [b"x"]


@pytest.mark.parametrize(
    ("line", "marked"),
    [
        pytest.param(b'{"level":"info"}', {"process": "shard-1", "level": "info"}, id="JSON gets a field"),
        pytest.param(b"Traceback", {"process": "shard-1", "message": "Traceback"}, id="other text is a message"),
        pytest.param(b"{}", {"process": "shard-1", "message": "{}"}, id="empty object"),
        pytest.param(b"\xff", {"process": "shard-1", "message": "\ufffd"}, id="not UTF-8"),
    ],
)
def test_json_lines_stay_json(line: bytes, marked: dict[str, str]) -> None:
    assert json.loads(mark_line("shard-1", line, "json")) == marked


def test_text_lines_get_a_prefix() -> None:
    assert mark_line("shard-1", b"opened", "text") == b"shard-1 | opened\n"
