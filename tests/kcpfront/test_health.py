import orjson
import pytest

from kcpfront.exchange import Reply
from kcpfront.health import Health, kubernetes_checks, version_reply
from kcpfront.request_info import parse_request


def ask(target: str, ready: str = "") -> Reply | None:
    health = Health({"ping": lambda: ""}, {"shard-map": lambda: ready})
    return health.reply(parse_request("GET", target, None))


@pytest.mark.parametrize(
    ("target", "ready", "code", "text"),
    [
        pytest.param("/healthz", "", 200, "ok", id="well"),
        pytest.param("/livez/ping", "", 200, "ok", id="one check"),
        pytest.param("/livez/nope", "", 404, "404 page not found\n", id="no such check"),
        pytest.param("/livez/shard-map", "", 404, "404 page not found\n", id="not a liveness check"),
        pytest.param("/livez?verbose", "", 200, "[+]ping ok\nlivez check passed\n", id="verbose"),
        pytest.param("/livez", "no map", 200, "ok", id="alive though not ready"),
        pytest.param(
            "/readyz",
            "no map",
            500,
            "[+]ping ok\n[-]shard-map failed: reason withheld\nreadyz check failed\n",
            id="not ready",
        ),
        pytest.param(
            "/readyz?exclude=shard-map&verbose",
            "no map",
            200,
            "[+]ping ok\n[+]shard-map excluded: ok\nreadyz check passed\n",
            id="excluded",
        ),
        pytest.param("/readyz/shard-map", "no map", 500, "internal server error: reason withheld\n", id="one failing"),
    ],
)
def test_checks(target: str, ready: str, code: int, text: str) -> None:
    reply = ask(target, ready)
    assert reply is not None
    assert (reply.code, reply.body.decode()) == (code, text)


def test_unknown_exclusions_are_pointed_out() -> None:
    reply = ask("/readyz?exclude=nope&verbose")
    assert reply is not None and b'warn: some health checks cannot be excluded: no matches for "nope"' in reply.body


def test_other_paths_are_not_ours() -> None:
    assert ask("/metrics") is None


def test_reasons_are_for_the_log() -> None:
    assert Health({}, {"x": lambda: "why"}).failing() == ["x: why"]


def test_version_tells_kubernetes_and_ours() -> None:
    found = orjson.loads(version_reply("9.9").body)
    assert (found["major"], found["minor"], found["gitVersion"]) == ("1", "36", "v1.36.3+kcp-python-9.9")


def test_checks_that_monitoring_asks_a_kube_apiserver_for_tell_of_the_shards() -> None:
    health = Health({}, kubernetes_checks(lambda: "no shard"))
    assert "etcd: no shard" in health.failing()
    assert "poststarthook/crd-informer-synced: no shard" in health.failing()


def test_indicators_count_what_was_asked_for() -> None:
    health = Health({"ping": lambda: ""}, {"shard-map": lambda: "no map"})
    health.reply(parse_request("GET", "/readyz/shard-map", None))
    text = health.indicators()
    assert 'kubernetes_healthcheck{name="ping",type="livez"} 1\n' in text
    assert 'kubernetes_healthcheck{name="shard-map",type="readyz"} 0\n' in text
    assert 'kubernetes_healthchecks_total{name="shard-map",status="error",type="readyz"} 2\n' in text
