from dataclasses import fields

from kcpshard import settings
from kcpshard.settings import Settings


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
