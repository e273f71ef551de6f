"""What became of the questions to one authorisation webhook, for metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field

RESULTS = ("success", "error", "timeout", "canceled")


@dataclass(slots=True)
class WebhookStatistics:
    """Counts since the start. `exclusions`: a matchCondition was false, `condition_errors`: one could not be evaluated;
    `failed_open`: nobody answered and others were asked."""

    calls: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RESULTS, 0))
    seconds: float = 0.0
    exclusions: int = 0
    condition_errors: int = 0
    failed_open: int = 0

    def asked(self, result: str, seconds: float) -> None:
        self.calls[result] += 1
        self.seconds += seconds

    def as_figures(self) -> Mapping[str, object]:
        return {
            "calls": dict(self.calls),
            "seconds": self.seconds,
            "exclusions": self.exclusions,
            "condition_errors": self.condition_errors,
            "failed_open": self.failed_open,
        }
