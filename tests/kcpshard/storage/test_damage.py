import pytest

from kcpshard.storage.damage import Corrupted, damage_of

MISMATCH = (
    "Corruption: block checksum mismatch: stored(context removed) = 710153248, computed = 1979274940, type = 4  in "
    "/data/x/000009.sst offset 403066 size 16117"
)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        pytest.param(Exception(MISMATCH), "block checksum mismatch in 000009.sst", id="as rocksdict raises it"),
        pytest.param(Corrupted(MISMATCH), "block checksum mismatch in 000009.sst", id="as a scan raises it"),
        pytest.param(Exception("Corruption: bad entry in block"), "bad entry in block", id="without a file"),
        pytest.param(ExceptionGroup("", [Corrupted(MISMATCH)]), "block checksum mismatch in 000009.sst", id="a group"),
        pytest.param(ExceptionGroup("", [Corrupted(MISMATCH), ValueError()]), "", id="a group with another fault"),
        pytest.param(Exception("IO error: No space left on device"), "", id="another trouble of the disk"),
        pytest.param(ValueError("Corruption: of morals"), "", id="somebody else's"),
    ],
)
def test_damage_is_told_in_a_few_words(error: Exception, said: str) -> None:
    assert damage_of(error) == said
