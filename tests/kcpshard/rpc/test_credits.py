"""Credits per logical cluster, against a model: never more in flight than allowed, nobody forgotten, in order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kcpshard.rpc.credits import Credits

clusters = st.sampled_from(["root:a", "root:b"])
LIMIT, QUEUE = 3, 2


class CreditsMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.credits: Credits[int] = Credits(LIMIT, QUEUE)
        self.going: dict[str, list[int]] = {"root:a": [], "root:b": []}
        self.waiting: dict[str, list[int]] = {"root:a": [], "root:b": []}
        self.next = 0

    @rule(cluster=clusters)
    def ask(self, cluster: str) -> None:
        self.next += 1
        taken = self.credits.take(cluster)
        assert taken == (len(self.going[cluster]) < LIMIT)
        if taken:
            self.going[cluster].append(self.next)
        else:
            queued = self.credits.wait(cluster, self.next)
            assert queued == (len(self.waiting[cluster]) < QUEUE)
            if queued:
                self.waiting[cluster].append(self.next)

    @rule(cluster=clusters)
    def end_one(self, cluster: str) -> None:
        if self.going[cluster]:
            self.going[cluster].pop()
            follower = self.credits.give_back(cluster)
            expected = self.waiting[cluster].pop(0) if self.waiting[cluster] else None
            assert follower == expected
            if follower is not None:
                self.going[cluster].append(follower)

    @rule(cluster=clusters, index=st.integers(0, QUEUE))
    def withdraw(self, cluster: str, index: int) -> None:
        if index < len(self.waiting[cluster]):
            assert self.credits.withdraw(cluster, self.waiting[cluster].pop(index))
        else:
            assert not self.credits.withdraw(cluster, 0)

    @invariant()
    def counts_agree(self) -> None:
        for cluster, going in self.going.items():
            assert self.credits.in_flight(cluster) == len(going)
            assert not self.waiting[cluster] or len(going) == LIMIT
        if not any(self.going.values()):
            assert not self.credits._in_flight


TestCredits = CreditsMachine.TestCase
TestCredits.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)


def test_a_lower_limit_from_the_shard_is_reached_by_waiting() -> None:
    credits: Credits[str] = Credits(3, 5)
    for _ in range(3):
        assert credits.take("root:a")
    credits.limit = 1
    assert credits.wait("root:a", "next")
    assert credits.give_back("root:a") is None
    assert credits.give_back("root:a") is None
    assert credits.give_back("root:a") == "next"
