"""Silence that counts, and silence that does not."""

from collections.abc import Collection

from kcpsyncer.placement.failure_detection import FailureDetector, Health, Judgement

THREE = {"a": "", "b": "", "c": ""}


def detector(clusters: dict[str, str]) -> FailureDetector:
    made = FailureDetector()
    made.watch(clusters)
    made.tick(0.0, clusters)
    return made


def run(made: FailureDetector, start: int, end: int, heard: Collection[str]) -> Judgement:
    for second in range(start, end):
        found = made.tick(float(second), heard)
    return found


def test_one_that_is_silent_is_suspected_and_then_given_up() -> None:
    made = detector(THREE)
    assert run(made, 1, 10, "ab").health == dict.fromkeys("abc", Health.HEALTHY)
    assert run(made, 10, 12, "ab").health["c"] is Health.SUSPECT
    assert run(made, 12, 17, "ab").health["c"] is Health.LOST
    found = made.tick(17.0, "abc")
    assert (found.health["c"], found.frozen) == (Health.HEALTHY, "")


def test_the_detectors_own_sleep_is_nobodys_silence() -> None:
    made = detector(THREE)
    assert made.tick(60.0, "").health == dict.fromkeys("abc", Health.HEALTHY)
    assert run(made, 61, 66, "a").health["c"] is Health.HEALTHY


def test_who_hears_nobody_judges_nobody() -> None:
    made = detector(THREE)
    found = run(made, 1, 60, "")
    assert found.health == dict.fromkeys("abc", Health.SUSPECT)
    assert "3 of 3" in found.frozen
    found = made.tick(60.0, "a")
    assert (found.health, found.frozen) == (dict.fromkeys("abc", Health.HEALTHY), "")


def test_more_than_half_silent_freezes() -> None:
    made = detector(THREE)
    found = run(made, 1, 40, "a")
    assert "2 of 3" in found.frozen
    assert found.health == {"a": Health.HEALTHY, "b": Health.SUSPECT, "c": Health.SUSPECT}
    found = run(made, 40, 42, "ab")
    assert (found.frozen, found.health["c"]) == ("", Health.LOST)


def test_one_of_two_is_not_more_than_half() -> None:
    made = detector({"a": "", "b": ""})
    assert run(made, 1, 20, "a").health["b"] is Health.LOST


def test_a_whole_path_freezes() -> None:
    made = detector({"a": "", "b": "", "c": "", "d": "west", "e": "west"})
    found = run(made, 1, 40, "abc")
    assert "behind west" in found.frozen
    assert found.health["d"] is Health.SUSPECT
    assert run(made, 40, 42, "abcd").health["e"] is Health.LOST


def test_who_was_lost_before_stays_lost_while_frozen() -> None:
    made = detector({name: "" for name in "abcde"})
    run(made, 1, 20, "abcd")
    found = run(made, 20, 40, "ab")
    assert "3 of 5" in found.frozen
    assert found.health == {
        "a": Health.HEALTHY, "b": Health.HEALTHY, "c": Health.SUSPECT, "d": Health.SUSPECT, "e": Health.LOST
    }  # fmt: skip


def test_the_only_cluster_can_be_lost() -> None:
    made = detector({"a": ""})
    assert run(made, 1, 20, "").health["a"] is Health.LOST


def test_clusters_come_and_go() -> None:
    made = detector(THREE)
    made.watch({"a": "", "d": ""})
    assert set(made.tick(1.0, "a").health) == {"a", "d"}
    assert made.last_heard_s("a") == 1.0
    assert made.last_heard_s("d") is None
    assert made.last_heard_s("b") is None
