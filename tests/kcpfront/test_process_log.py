import json
import logging

import pytest

from kcpfront import process_log


@pytest.fixture(autouse=True)
def _restore() -> object:
    root = logging.getLogger()
    kept = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = kept[0], kept[1]


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    process_log.configure("info", "json")
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("x").exception("went %s", "wrong", extra={"audit_id": "i"})
    found = json.loads(capsys.readouterr().err)
    assert (found["level"], found["logger"], found["message"], found["audit_id"]) == ("error", "x", "went wrong", "i")
    assert "ValueError: why" in found["traceback"]


def test_text_lines(capsys: pytest.CaptureFixture[str]) -> None:
    process_log.configure("warning", "text")
    logging.getLogger("x").info("not this")
    logging.getLogger("x").warning("this", extra={"target": "/a"})
    assert capsys.readouterr().err.endswith(" warning x: this target=/a\n")
