import pytest

from kcpshard.controllers.switches import NAMES, enabled


@pytest.mark.parametrize(
    "text, expected",
    [
        ("*", set(NAMES)),
        ("", set()),
        ("*,-garbagecollector", set(NAMES) - {"garbage-collector-controller"}),
        ("-garbage-collector-controller,*", set(NAMES) - {"garbage-collector-controller"}),
        ("namespace, resourcequota", {"namespace-controller", "resourcequota-controller"}),
    ],
)
def test_words(text: str, expected: set[str]) -> None:
    assert enabled(text) == expected


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="no controller 'gardener'"):
        enabled("*,-gardener")
