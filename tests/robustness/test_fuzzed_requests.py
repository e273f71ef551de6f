"""Two hundred bent requests against real processes; `make fuzz` sends many more."""

from pathlib import Path

import pytest

from tests.clients.fuzz import bent_request, corpus, fuzz
from tests.clients.tier import Tier

pytestmark = pytest.mark.process


def test_no_request_is_a_server_error_or_shows_another_logical_cluster(tmp_path: Path) -> None:
    tier = Tier(tmp_path / "kcp", "--shards", "2", "--fronts", "1", "--api-set", "full")
    tier.start()
    try:
        codes = fuzz(tier, seed_number=36, examples=200)
    finally:
        tier.stop()
    assert not tier.has_traceback(), tier.log()
    # Enough of them are understood to reach what is behind the parsing.
    assert sum(codes.get(code, 0) for code in (200, 201, 404, 422)) > 70, codes


def test_bends_follow_from_the_choice_alone() -> None:
    row = corpus()[0]
    assert bent_request(row, 4, 7) == bent_request(row, 4, 7) != bent_request(row, 4, 8)
