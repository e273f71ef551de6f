from kcp.backoff import HEALTHY_S, LONGEST_S, Backoff


def test_the_first_death_costs_no_wait_and_later_ones_ever_more() -> None:
    backoff = Backoff()
    assert [backoff.delay_after(0.1) for _ in range(5)] == [0, 0.25, 0.5, 1, 2]


def test_the_wait_is_bounded() -> None:
    backoff = Backoff()
    delays = [backoff.delay_after(0.1) for _ in range(1000)]
    assert max(delays) == delays[-1] == LONGEST_S


def test_a_long_run_forgives() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.delay_after(0.1)
    assert backoff.delay_after(HEALTHY_S) == 0
    assert backoff.delay_after(0.1) == 0.25
