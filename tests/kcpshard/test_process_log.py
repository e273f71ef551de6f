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


def test_json_lines_name_the_request(capsys: pytest.CaptureFixture[str]) -> None:
    process_log.configure("info", "json")
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("x").exception("went %s", "wrong", extra={"audit_id": "i"})
    found = orjson.loads(capsys.readouterr().err)
    assert (found["level"], found["logger"], found["message"], found["audit_id"]) == ("error", "x", "went wrong", "i")
    assert "ValueError: why" in found["traceback"]


def test_text_lines_name_the_request(capsys: pytest.CaptureFixture[str]) -> None:
    process_log.configure("warning", "text")
    logging.getLogger("x").info("not this")
    logging.getLogger("x").warning("this", extra={"target": "/a"})
    assert capsys.readouterr().err.endswith(" warning x: this target=/a\n")
