import json
from pathlib import Path

import pytest

from kcp import member
from kcp.member import Member
from kcp.output import Refused


@pytest.fixture
def shard(tmp_path: Path) -> Member:
    made = Member(tmp_path, "shard", "shard-4", 4, "10.0.0.2:7444", ("10.0.0.1:7444",))
    member.save(made)
    return made


def test_what_is_saved_is_loaded(shard: Member) -> None:
    assert member.load(shard.root, "shard") == shard


def test_nothing_has_joined_in_an_empty_directory(tmp_path: Path) -> None:
    assert member.load(tmp_path, "shard") is None


def test_an_installation_is_no_place_to_join(tmp_path: Path) -> None:
    (tmp_path / "installation.json").touch()
    with pytest.raises(Refused, match="is an installation of its own"):
        member.load(tmp_path, "shard")


def test_a_shard_does_not_become_a_front(shard: Member) -> None:
    with pytest.raises(Refused, match="belongs to a shard: start it with kcp shard"):
        member.load(shard.root, "front")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param({"format": 2}, r"was made by a newer kcp \(format 2, this one knows 1\)", id="newer"),
        pytest.param({"role": "syncer"}, "a field is missing or wrong", id="unknown role"),
        pytest.param({"shards": None}, "a field is missing or wrong", id="no shards"),
    ],
)
def test_damage_and_newer_formats_are_told_apart(shard: Member, change: dict[str, object], sentence: str) -> None:
    path = shard.root / "member.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(Refused, match=sentence):
        member.load(shard.root, "shard")


def test_half_a_file_is_damage(shard: Member) -> None:
    (shard.root / "member.json").write_text("{")
    with pytest.raises(Refused, match="is damaged: it is not JSON"):
        member.load(shard.root, "shard")
