from kcpshard.callouts.budget import FAILURES, FIRST_REST_S, LONGEST_REST_S, Concurrency, FailureBudget


def fill(places: Concurrency, cluster: int) -> int:
    taken = 0
    while places.enter(cluster):
        taken += 1
    return taken


def test_each_takes_a_share_of_what_is_free() -> None:
    places = Concurrency(total=256, per_cluster=32)
    taken = [fill(places, cluster) for cluster in range(20)]
    assert taken[:3] == [32, 32, 32]
    assert all(taken[:12]), taken
    assert taken == sorted(taken, reverse=True)
    assert places.in_flight == sum(taken) <= 256


def test_a_place_that_was_left_is_free() -> None:
    places = Concurrency(total=4, per_cluster=1)
    assert places.enter(1)
    assert not places.enter(1)
    places.leave(1)
    assert places.enter(1)


def test_failures_in_a_row_bring_rest() -> None:
    budget = FailureBudget()
    for _ in range(FAILURES - 1):
        budget.failed("a", "broken", 0)
    assert budget.resting("a", 0) == ""
    budget.failed("a", "quite broken", 0)
    assert budget.resting("a", 0) == "quite broken"
    assert budget.resting("b", 0) == ""
    assert budget.count_resting(0) == 1


def test_after_a_rest_one_may_try() -> None:
    budget = FailureBudget()
    for _ in range(FAILURES):
        budget.failed("a", "broken", 0)
    assert budget.resting("a", FIRST_REST_S) == ""
    assert budget.resting("a", FIRST_REST_S) == "broken"  # the others wait for the one
    budget.failed("a", "broken", FIRST_REST_S)
    assert budget.resting("a", FIRST_REST_S * 2.9) == "broken"
    assert budget.resting("a", FIRST_REST_S * 3) == ""
    budget.succeeded("a")
    assert budget.resting("a", FIRST_REST_S * 3) == ""


def test_rests_grow_to_an_end() -> None:
    budget, now = FailureBudget(), 0.0
    for _ in range(50):
        budget.failed("a", "broken", now)
        now += LONGEST_REST_S
        assert budget.resting("a", now) == ""


def test_what_is_remembered_is_bounded() -> None:
    budget = FailureBudget()
    for target in range(10_000):
        budget.failed(target, "broken", 0)
    assert len(budget._failing) <= 2048
