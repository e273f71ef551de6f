import pytest

from kcpfront.request_info import parse_request
from kcpfront.watch_options import MIN_TIMEOUT_S, start_watch, watch_options
from kcpshard.api.errors import BadRequest, Invalid
from tests.kcpfront.exchanges import exchange

F = "resourceVersionMatch: Forbidden: "
PATH = "/apis/apps/v1/namespaces/n/deployments?watch=1"


@pytest.mark.parametrize(
    ("query", "revision", "initial", "minimum"),
    [
        pytest.param("", 0, True, 0, id="no resourceVersion: from the state of now"),
        pytest.param("&resourceVersion=0", 0, True, 0, id="zero: likewise"),
        pytest.param("&resourceVersion=7", 7, False, 0, id="after a revision"),
        pytest.param(
            "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=7",
            0,
            True,
            7,
            id="initial events at least so new",
        ),
        pytest.param("&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", 0, True, 0, id="initial events"),
        pytest.param("&sendInitialEvents=false&resourceVersionMatch=NotOlderThan", 0, False, 0, id="from now on"),
        pytest.param(
            "&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion=7",
            7,
            False,
            0,
            id="declined after a revision",
        ),
    ],
)
def test_where_a_watch_begins(query: str, revision: int, initial: bool, minimum: int) -> None:
    start = start_watch(exchange(PATH + query), want_columns=True)
    assert (start.revision, start.initial, start.minimum_revision) == (revision, initial, minimum)
    assert (start.group, start.resource, start.namespace, start.want_columns) == ("apps", "deployments", "n", True)


def test_selectors_and_the_name_travel() -> None:
    start = start_watch(exchange(PATH + "&fieldSelector=metadata.name%3Dd&labelSelector=a"), want_columns=False)
    assert (start.name, start.label_selector, start.field_selector) == ("d", "a", "metadata.name=d")


@pytest.mark.parametrize(
    ("query", "messages"),
    [
        pytest.param(
            "&sendInitialEvents=true",
            [F + "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"],
            id="match missing",
        ),
        pytest.param(
            "&resourceVersionMatch=NotOlderThan",
            [F + "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"],
            id="match alone",
        ),
        pytest.param(
            "&sendInitialEvents=true&resourceVersionMatch=Exact&resourceVersion=1",
            [
                F + "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                'resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"',
            ],
            id="other match",
        ),
        pytest.param(
            "&continue=x",
            [F + "resourceVersionMatch is forbidden when continue is provided"],
            id="continue",
        ),
    ],
)
def test_combinations_are_refused(query: str, messages: list[str]) -> None:
    with pytest.raises(Invalid) as caught:
        watch_options(exchange(PATH + query).info)
    listed = messages[0] if len(messages) == 1 else f"[{', '.join(messages)}]"
    assert caught.value.message == f'ListOptions.meta.k8s.io "" is invalid: {listed}'


def test_timeouts() -> None:
    assert watch_options(exchange(PATH + "&timeoutSeconds=7").info).timeout_s == 7
    chosen = {watch_options(exchange(PATH).info).timeout_s for _ in range(20)}
    assert len(chosen) > 1 and all(MIN_TIMEOUT_S <= found <= 2 * MIN_TIMEOUT_S for found in chosen)
    with pytest.raises(BadRequest, match=r"strconv\.ParseInt"):
        watch_options(exchange(PATH + "&timeoutSeconds=x").info)


def test_bookmarks() -> None:
    asked = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    assert watch_options(exchange(PATH + asked + "&allowWatchBookmarks=true").info)[1:] == (True, True)
    assert watch_options(exchange(PATH + asked).info)[1:] == (False, False)
    assert watch_options(exchange(PATH + "&allowWatchBookmarks=1").info)[1:] == (True, False)


def test_the_past_is_not_watched() -> None:
    with pytest.raises(BadRequest, match="not allowed for watches"):
        watch_options(parse_request("GET", "/api/v1/configmaps?watch=1&at=1", None))
