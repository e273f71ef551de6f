from kcpshard.syncing.agent_feed import AgentFeed
from kcpshard.syncing.placed_index import Place

WEB, API, SECRET = (Place(1, "deployments.apps", "a", n) for n in ("web", "api", "secret"))


def test_nothing_beyond_the_credit() -> None:
    feed = AgentFeed()
    feed.touch(WEB)
    feed.touch(API)
    assert feed.next() is None
    feed.credit_bytes = 10
    assert feed.next() == (WEB, False)
    feed.named(WEB, 100)
    assert feed.next() is None and feed.waiting == 1
    feed.credit_bytes += 100
    assert feed.next() == (API, False)


def test_many_changes_are_one() -> None:
    feed = AgentFeed()
    feed.credit_bytes = 1000
    for _ in range(100):
        feed.touch(WEB)
    feed.named(WEB, 1)
    assert feed.next() is None and feed.is_empty


def test_a_mark_is_said_once_when_everything_was_named() -> None:
    feed = AgentFeed()
    feed.credit_bytes = 1000
    feed.name_all("all", {WEB: True, API: False})
    assert feed.next() == (WEB, True)
    feed.put_off(WEB)
    assert feed.next() == (API, False)
    feed.named(API, 1)
    assert feed.reached() == []
    feed.touch(WEB)  # it has changed meanwhile: to be sent whole
    assert feed.next() == (WEB, False)
    feed.named(WEB, 1)
    assert feed.reached() == ["all"] and feed.reached() == []
    feed.name_all("nothing", {})
    assert feed.reached() == ["nothing"]


def test_companions_are_named_as_long_as_somebody_needs_them() -> None:
    feed = AgentFeed()
    feed.credit_bytes = 1000
    feed.name_all("all", {WEB: True})
    feed.need(WEB, [SECRET])
    feed.named(WEB, 1)
    assert feed.reached() == [] and feed.next() == (SECRET, True)  # all is not said before the companion
    feed.named(SECRET, 1)
    assert feed.reached() == ["all"]
    feed.need(API, [SECRET])
    assert feed.is_empty and feed.companions == 1
    feed.need(WEB, [])
    assert feed.is_empty and feed.is_needed(SECRET)
    feed.need(API, [])
    assert feed.next() == (SECRET, False) and not feed.is_needed(SECRET)


def test_companions_are_named_again_with_everything_else() -> None:
    feed = AgentFeed()
    feed.credit_bytes = 1000
    feed.need(WEB, [SECRET])
    feed.named(SECRET, 1)
    feed.name_all("again", {WEB: True})
    feed.named(WEB, 1)
    feed.named(SECRET, 1)
    assert feed.reached() == ["again"]
    feed.name_all("again", {WEB: True})
    feed.named(WEB, 1)
    assert feed.reached() == [] and feed.next() == (SECRET, True)


def test_a_logical_cluster_leaves() -> None:
    feed = AgentFeed()
    feed.credit_bytes = 1000
    other = WEB._replace(cluster_id=2)
    feed.name_all("all", {WEB: False, other: False})
    feed.need(WEB, [SECRET])
    feed.drop_cluster(1)
    assert feed.next() == (other, False) and feed.waiting == 1 and feed.companions == 0
    feed.named(other, 1)
    assert feed.reached() == ["all"]
