"""A damaged block on disk: whoever touches it is told, nobody is given less than there is, all else is served."""

import http.client
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.robustness.bad_day import COLLECTION, BadDay

pytestmark = [pytest.mark.process, pytest.mark.slow]
OBJECTS = 400


def test_a_corrupted_block_is_told_and_nothing_is_served_wrong(tmp_path: Path) -> None:
    day = BadDay(tmp_path / "kcp")
    with day.running():
        written = {f"n{n:03}": day.create(f"n{n:03}", 3000)[1] for n in range(OBJECTS)}
        assert day.create("here", cluster="sound")[0] == 201
    with day.running():
        pass  # what was in the log is in tables now
    tables = sorted(day.data.glob("*.sst"), key=lambda path: path.stat().st_size)
    for table in tables:
        raw = bytearray(table.read_bytes())
        if len(raw) > 200_000:
            raw[len(raw) // 2] ^= 0xFF
            table.write_bytes(raw)
    with day.running():
        shard = day.process("shard").pid
        answers = {name: day.get(name) for name in written}
        damaged = [status for code, status in answers.values() if code != 200]
        assert damaged, "no read touched the damage: damage more"
        for status in damaged:
            assert (status["code"], status["reason"]) == (500, "InternalError"), (status, day.tier.log())
            assert "is damaged (block checksum mismatch in " in status["message"]
        for name, (code, found) in answers.items():
            assert code != 200 or found == written[name]
        code, found = day.everything()
        assert code == 500 and "is damaged" in found["message"]
        look_at_watch(day, int(written["n000"]["metadata"]["resourceVersion"]), len(written))
        assert day.get("here", cluster="sound")[0] == 200
        assert day.create("new", cluster="sound")[0] == 201
        assert day.metric('apiserver_request_total{code="500",verb="get"}') == len(damaged)
        assert day.process("shard").pid == shard
        assert "stored data is damaged" in day.tier.log()
    command = [sys.executable, "-P", "-m", "kcp", "shard", "verify", str(day.data)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert found.returncode != 0
    assert "unreadable" in found.stdout and "checksum mismatch" in found.stdout


def look_at_watch(day: BadDay, revision: int, objects: int) -> None:
    """A watch over the damaged log ends with an error; it shows no event behind one that it cannot read."""
    connection = day.connect()
    connection.timeout = 5
    path = f"{COLLECTION.format('root')}?watch=1&resourceVersion={revision}&timeoutSeconds=3"
    try:
        code, text = day.ask("GET", path, connection=connection)
    except (TimeoutError, http.client.HTTPException):
        return
    finally:
        connection.close()
    if code != 200:
        assert code == 500
        return
    lines = [json.loads(line) for line in text.splitlines()]
    names = [line["object"]["metadata"]["name"] for line in lines if line["type"] != "ERROR"]
    assert names == [f"n{n:03}" for n in range(1, len(names) + 1)]
    assert len(names) == objects - 1 or lines[-1]["type"] == "ERROR", f"{len(names)} events and no error"
