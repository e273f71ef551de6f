from kcpshard.authorization.webhook_statistics import WebhookStatistics


def test_calls_by_their_result() -> None:
    found = WebhookStatistics()
    found.asked("success", 0.5)
    found.asked("timeout", 3.0)
    figures = found.as_figures()
    assert figures["calls"] == {"success": 1, "error": 0, "timeout": 1, "canceled": 0}
    assert figures["seconds"] == 3.5
