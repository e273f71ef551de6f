"""Tolerations and shares as they are written."""

import pytest

from kcpshard.api.selectors import NO_LABELS, parse_label_selector
from kcpsyncer.placement.model import NO_EXECUTE, NO_SCHEDULE, Policy, Share, Taint, Toleration

TAINT = Taint("gpu", "yes", NO_SCHEDULE)


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        (Toleration("gpu", "Equal", "yes", NO_SCHEDULE), True),
        (Toleration("gpu", "Equal", "yes"), True),
        (Toleration("gpu", "Equal", "no"), False),
        (Toleration("gpu", "Exists"), True),
        (Toleration("gpu", "Exists", effect=NO_EXECUTE), False),
        (Toleration("", "Exists"), True),
        (Toleration("", "Equal"), False),
        (Toleration("cpu", "Exists"), False),
    ],
)
def test_tolerations_are_those_of_pods(toleration: Toleration, expected: bool) -> None:
    assert toleration.tolerates(TAINT) is expected


def test_the_first_share_that_selects_a_cluster_counts() -> None:
    east = Share(parse_label_selector("region=east"), weight=3)
    policy = Policy(shares=(east, Share(NO_LABELS, weight=2)))
    assert policy.share_of({"region": "east"}).weight == 3
    assert policy.share_of({"region": "west"}).weight == 2
    assert Policy().share_of({}).weight == 1
