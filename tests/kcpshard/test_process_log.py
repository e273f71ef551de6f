"""Log lines as text and JSON."""

import logging

import orjson
import pytest

from kcpshard import process_log


@pytest.fixture(autouse=True)
def restored_logging() -> object:
    root, grpc = logging.getLogger(), logging.getLogger("grpc")
    handlers, level, grpc_level = root.handlers[:], root.level, grpc.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    grpc.setLevel(grpc_level)


def write(form: str) -> None:
    process_log.configure("info", form)
    log = logging.getLogger("kcpshard.test")
    log.debug("not shown")
    try:
        raise ValueError("why")
    except ValueError:
        log.exception("it failed: %s", "so")


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    write("json")
    (line,) = capsys.readouterr().err.splitlines()
    record = orjson.loads(line)
    assert (record["level"], record["logger"], record["message"]) == ("error", "kcpshard.test", "it failed: so")
    assert "ValueError: why" in record["traceback"]
    assert record["time"].endswith("Z")


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    write("text")
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.endswith("error kcpshard.test: it failed: so")
    assert rest[-1] == "ValueError: why"
