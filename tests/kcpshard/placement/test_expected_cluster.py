from kcpshard.placement.expected_cluster import ExpectedCluster
from kcpshard.storage.contract import ReadOnly


def test_everybody_asks_again_at_the_end_and_who_comes_later_at_once() -> None:
    told: list[str] = []
    expected = ExpectedCluster(lambda: told.append("forgotten"))
    expected.when_durable(lambda: told.append("first"))
    expected.when_durable(lambda: told.append("second"))
    expected.when_refused(lambda _cause: told.append("never"))
    assert (told, expected.waiting) == ([], 2)
    expected.end()
    expected.end()
    assert told == ["forgotten", "first", "second"]
    expected.when_durable(lambda: told.append("late"))
    assert told[-1] == "late" and expected.waiting == 0
    assert ReadOnly("full").cause == "full"
