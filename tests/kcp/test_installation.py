import json
from pathlib import Path

import pytest

from kcp import credentials, installation
from kcp.installation import Installation, adapt, first_start_undone, load, plan, save
from kcp.output import Refused


@pytest.fixture
def made(tmp_path: Path) -> Installation:
    """A whole installation, its key files empty: nobody here looks into them."""
    result = plan(tmp_path, 2)
    result.pki.mkdir()
    for path in (*installation._key_files(result), result.token_file):
        path.touch()
    save(result)
    return result


def test_what_is_saved_is_loaded(made: Installation) -> None:
    assert load(made.root) == made


def test_an_empty_directory_is_no_installation_yet(tmp_path: Path) -> None:
    assert load(tmp_path) is None


def test_the_leftover_of_an_interrupted_first_start_is_no_installation_yet(made: Installation) -> None:
    (made.root / "installation.json").unlink()
    (made.root / ".tokens.csv.new").touch()
    assert load(made.root) is None


def test_shards_without_an_installation_are_damage(made: Installation) -> None:
    (made.root / "installation.json").unlink()
    made.shard_directory(1).mkdir()
    with pytest.raises(Refused, match=r"is damaged: it holds shard-1 but no installation\.json"):
        load(made.root)


def test_somebody_elses_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").touch()
    with pytest.raises(Refused, match=r"is not empty and not an installation of kcp \(letters\.txt lies in it\)"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param({"format": 2}, r"was made by a newer kcp \(format 2, this one knows 1\)", id="newer"),
        pytest.param({"format": None}, "a field is missing or wrong", id="no format"),
        pytest.param({"shards": 0}, "a field is missing or wrong", id="no shards"),
        pytest.param({"shards": 1}, "a field is missing or wrong", id="fewer shards than initially"),
        pytest.param({"shards": "2"}, "a field is missing or wrong", id="a number as text"),
        pytest.param({"id": None}, "a field is missing or wrong", id="no id"),
    ],
)
def test_damage_and_newer_formats_are_told_apart(made: Installation, change: dict[str, object], sentence: str) -> None:
    path = made.root / "installation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(Refused, match=sentence):
        load(made.root)


def test_half_a_file_is_damage(made: Installation) -> None:
    (made.root / "installation.json").write_text('{"format": 1, "id')
    with pytest.raises(Refused, match="is damaged: it is not JSON"):
        load(made.root)


@pytest.mark.parametrize("name", ["pki/serving-ca.key", "pki/internal-ca.crt", "tokens.csv"])
def test_a_missing_file_is_damage_and_named(made: Installation, name: str) -> None:
    (made.root / name).unlink()
    with pytest.raises(Refused, match=rf"is damaged: .*{name} is missing"):
        load(made.root)


def test_more_shards_are_recorded_and_the_initial_number_stays(made: Installation) -> None:
    grown = adapt(made, 4, "")
    assert (grown.initial_shards, grown.shards) == (2, 4)
    assert load(made.root) == grown


def test_where_others_join_is_recorded(made: Installation) -> None:
    adapt(made, 2, "10.0.0.1:7443")
    found = load(made.root)
    assert found and found.internal_listen == "10.0.0.1:7443"


def test_fewer_shards_are_refused(made: Installation) -> None:
    with pytest.raises(Refused, match=r"has 2 shards, which hold its objects: it cannot start with 1; start it with 2"):
        adapt(made, 1, "")


def test_a_failed_first_start_leaves_nothing(tmp_path: Path) -> None:
    root = tmp_path / "new"
    with pytest.raises(Refused, match="cannot write /x/y: No space left"), first_start_undone(root):
        (root / "pki").mkdir()
        raise OSError(28, "No space left on device", "/x/y")
    assert not root.exists()


def test_a_failure_in_an_existing_directory_takes_nothing_away(made: Installation) -> None:
    with pytest.raises(Refused), first_start_undone(made.root):
        raise Refused("port in use")
    assert load(made.root) == made


def test_sockets_lie_below_the_root_unless_their_names_get_too_long(made: Installation, tmp_path: Path) -> None:
    assert made.run_directory == tmp_path / "run"
    deep = Installation(tmp_path / ("d" * 90), made.id, 2, 2)
    assert len(str(deep.run_directory / "shard-999" / "front.sock")) <= 107
    assert made.id[:13] in deep.run_directory.name


def test_a_shard_that_was_taken_out_leaves_its_number_unused(tmp_path: Path) -> None:
    made = installation.plan(tmp_path, 3)
    credentials.make(made, "https://127.0.0.1:6443", [])
    installation.save(made)
    smaller = installation.without(made, 2)
    assert smaller.numbers == (1, 3)
    assert installation.load(tmp_path) == smaller
    assert installation.adapt(smaller, 2, "").numbers == (1, 3)
    assert installation.adapt(smaller, 3, "").numbers == (1, 3, 4)
    with pytest.raises(Refused):
        installation.adapt(smaller, 1, "")
