from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from kcpfront.metrics import Metrics
from kcpfront.shard_metrics import Figures, shard_metrics

FIGURES: dict[str, Any] = {
    "loop_stall_seconds": 0.25,
    "cpu_seconds": 3.5,
    "disk": {"free_bytes": 1000, "total_bytes": 4000},
    "store": {"durable_revision": 1_700_000_000_500_000_001, "read_only": "", "engine": {"log_bytes": 7}},
    "compaction": {"ended": 0.0, "failed": 2},
}


def shown(figures: Figures) -> str:
    class Once:
        def collect(self) -> list[Any]:
            return list(shard_metrics(figures))

    registry = CollectorRegistry()
    registry.register(Once())  # type: ignore[arg-type]
    return generate_latest(registry).decode()


def test_figures_by_shard_in_the_units_of_their_names() -> None:
    text = shown({1: FIGURES})
    assert 'kcp_shard_loop_stall_seconds_longest{shard="1"} 0.25' in text
    assert 'kcp_shard_cpu_seconds_total{shard="1"} 3.5' in text
    assert 'kcp_shard_disk_free_bytes{shard="1"} 1000.0' in text
    assert 'kcp_shard_durable_revision_timestamp_seconds{shard="1"} 1.7000000005e+09' in text
    assert 'kcp_shard_compaction_failures_total{shard="1"} 2.0' in text
    assert 'kcp_shard_log_bytes{shard="1"} 7.0' in text
    assert 'kcp_shard_read_only{shard="1"} 0.0' in text


def test_a_full_disk_is_seen() -> None:
    full = {**FIGURES, "store": {**FIGURES["store"], "read_only": "No space left on device"}}
    assert 'kcp_shard_read_only{shard="1"} 1.0' in shown({1: full})


def test_a_shard_that_did_not_answer_is_not_up_and_has_no_figure() -> None:
    text = shown({1: FIGURES, 2: None})
    assert [line for line in text.splitlines() if 'shard="2"' in line] == ['kcp_shard_up{shard="2"} 0.0']
    assert 'kcp_shard_up{shard="1"} 1.0' in text


def test_what_an_older_shard_does_not_know_is_left_out() -> None:
    assert "kcp_shard_watches{" not in shown({1: FIGURES})


async def test_each_scrape_asks_anew() -> None:
    metrics = Metrics()
    answers: list[Figures] = [{1: FIGURES}, {1: None}]

    async def ask() -> Figures:
        return answers.pop(0)

    metrics.ask_shards = ask
    assert b'kcp_shard_up{shard="1"} 1.0' in await metrics.gather()
    assert b'kcp_shard_up{shard="1"} 0.0' in await metrics.gather()


def test_the_pauses_of_moves_are_a_histogram() -> None:
    moves = {"taken": 2, "pause_seconds": {"bounds": [0.01, 0.1], "counts": [1, 1, 0], "sum": 0.055}}
    (family,) = [f for f in shard_metrics({3: {"moves": moves}}) if f.name == "kcp_shard_move_pause_seconds"]
    found = {(sample.name, sample.labels.get("le")): sample.value for sample in family.samples}
    assert found["kcp_shard_move_pause_seconds_bucket", "0.01"] == 1
    assert (
        found["kcp_shard_move_pause_seconds_bucket", "+Inf"] == found["kcp_shard_move_pause_seconds_count", None] == 2
    )
    assert found["kcp_shard_move_pause_seconds_sum", None] == 0.055


def test_authorisation_webhooks_by_name() -> None:
    webhook = {
        "calls": {"success": 3, "error": 1},
        "seconds": 2.5,
        "exclusions": 4,
        "condition_errors": 0,
        "failed_open": 1,
    }
    text = shown({1: {**FIGURES, "authorization_webhooks": {"outside": webhook}}})
    assert 'webhook_evaluations_total{name="outside",result="success",shard="1"} 3.0' in text
    assert 'kcp_shard_authorization_match_condition_exclusions_total{name="outside",shard="1"} 4.0' in text
    assert 'kcp_shard_authorization_webhook_evaluations_fail_open_total{name="outside",shard="1"} 1.0' in text
