from kcpshard.placement.move_statistics import PAUSE_BOUNDS, Counts, MoveStatistics


def test_a_value_counts_at_the_first_bound_that_holds_it() -> None:
    counts = Counts((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 7.0):
        counts.add(value)
    assert counts.figures() == {"bounds": [1.0, 2.0], "counts": [2, 1, 1], "sum": 10.0}


def test_figures() -> None:
    statistics = MoveStatistics()
    statistics.taken += 1
    statistics.pause_s.add(0.004)
    found = statistics.figures()
    assert found["taken"] == 1
    pause = found["pause_seconds"]
    assert isinstance(pause, dict) and pause["counts"] == [1] + [0] * len(PAUSE_BOUNDS)
