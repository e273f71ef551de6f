from kcpshard.storage.space import SpaceGuard


def test_the_reserve_is_for_deletions() -> None:
    free: list[int | None] = [100]
    guard = SpaceGuard(lambda: free[0], reserved=50, interval_s=0.25)
    for now_us, left, cause in ((0, 100, ""), (1, 49, "nearly full"), (2, 0, "full or read-only"), (3, None, "")):
        free[0] = left
        guard.look(now_us)
        assert (cause in guard.refusal.cause) if guard.refusal else not cause


def test_it_looks_every_interval_and_after_a_step_back() -> None:
    guard = SpaceGuard(lambda: 100, reserved=50, interval_s=0.25)
    guard.look(1_000_000)
    assert not guard.is_due(1_249_999)
    assert guard.is_due(1_250_000)
    assert not guard.is_due(1_000_001)
    assert guard.is_due(999_999)
