from dataclasses import fields

import pytest

from kcpshard import settings
from kcpshard.settings import Settings, adjusted


def test_invariants_are_checked_in_tests() -> None:
    assert settings.VERIFY


def test_there_is_a_retention_for_each_class() -> None:
    assert (settings.DEFAULT, settings.EVENTS, settings.LEASES) == (0, 1, 2)
    assert Settings().retention_s[settings.EVENTS] == 3600
    assert list(Settings().retention_s) == sorted(Settings().retention_s, reverse=True)


def test_every_number_has_a_unit_in_its_name() -> None:
    units = ("_s", "_us", "_bytes", "_bytes_per_cluster")
    counts = {"scan_slice", "cached_clusters", "compaction_slice", "open_files", "watches_per_front", "counted_objects"}
    for field in fields(Settings):
        if field.type in (int, float):
            assert field.name.endswith(units) or field.name in counts, field.name


def test_knobs_are_set_from_text() -> None:
    assert adjusted(Settings(), "") == Settings()
    found = adjusted(Settings(), "retention_s=5:4:3,compaction_interval_s=0.5,open_files=9")
    assert (found.retention_s, found.compaction_interval_s, found.open_files) == ((5, 4, 3), 0.5, 9)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("colour=1", "there is no setting 'colour'"),
        ("accept_clock=1", "there is no setting 'accept_clock'"),
        ("open_files=many", "open_files cannot be 'many'"),
        ("retention_s=5", "retention_s needs 3 numbers"),
    ],
)
def test_a_knob_that_does_not_exist_or_fit_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        adjusted(Settings(), text)
