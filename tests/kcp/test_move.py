from typing import Any

from click.testing import CliRunner

from kcp.move import ended, move, progress

ACTIVE = {
    "path": "root:a",
    "to": "shard-2",
    "stage": "copying",
    "note": "",
    "objects": 3,
    "records": 4,
    "bytes": 5_000_000,
}


def moves(**changes: Any) -> dict[str, Any]:
    return {"active": None, "waiting": [], "ended": [], "last": 0, **changes}


def end(number: int, path: str, outcome: str = "done", note: str = "") -> dict[str, Any]:
    return {"number": number, "path": path, "shard": "shard-2", "outcome": outcome, "note": note}


def test_only_ends_after_the_question_count() -> None:
    found = moves(ended=[end(4, "root:a", "failed", "no room"), end(6, "root:b", "failed", "gone")], active=ACTIVE)
    assert ended(found, {"root:a", "root:b"}, 5) == [("root:b", "failed", "gone")]


def test_what_nobody_remembers_is_over() -> None:
    assert ended(moves(waiting=[{"path": "root:a"}]), {"root:a", "root:b"}, 0) == [("root:b", "over", "")]


def test_progress_is_told_of_our_moves_only() -> None:
    assert progress(moves(active=ACTIVE), {"root:a"}) == "root:a: copying: 3 objects, 4 log records, 5.0 MB"
    assert progress(moves(active=ACTIVE), {"root:b"}) == "" == progress(moves(), {"root:a"})
    waits = {**ACTIVE, "note": "shard-1 is away"}
    assert progress(moves(active=waits), {"root:a"}).endswith("(shard-1 is away)")


def test_one_thing_at_a_time() -> None:
    for arguments in (["root:a"], ["root:a", "--to", "shard-1", "--cancel"]):
        result = CliRunner().invoke(move, arguments)
        assert result.exit_code == 1 and "say one of" in result.output
