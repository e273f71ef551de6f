import gc

import orjson
import pytest

from kcpshard.api.errors import ApiError, BadRequest, Expired, Forbidden, MethodNotAllowed, NotFound, Unauthorized
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage.contract import NotDurable
from kcpshard.verbs.outcome import NotOwned
from kcpshard.verbs.shard import Shard
from kcpshard.watch.cursor import Phase
from kcpshard.watch.history import History
from kcpshard.watch_start import NotReached, WatchStarts
from tests.contracts.api_client import ADMIN
from tests.contracts.custom_types import CRDS, WIDGETS, crd, established, version, widget
from tests.contracts.stored_objects import put
from tests.contracts.watch_tier import WatchTier, start

IDENTITY = b'{"username":"u"}'


@pytest.fixture
async def tier() -> WatchTier:
    tier = WatchTier()
    tier.bear("root", put("a"))
    await tier.settled()
    return tier


@pytest.fixture
def starts(tier: WatchTier) -> WatchStarts:
    return WatchStarts(Shard(tier.store, tier.catalog, tier.ownership, lambda: 0))


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        pytest.param(start("*", identity=b""), Unauthorized, id="every logical cluster, as nobody"),
        pytest.param(start("*", "reviews"), MethodNotAllowed, id="of all, a type that cannot be watched"),
        pytest.param(start("root", "gadgets"), NotFound, id="unknown type"),
        pytest.param(start("root", "namespaces", namespace="default"), NotFound, id="a namespace for a type without"),
        pytest.param(start("root", "reviews"), MethodNotAllowed, id="a type that cannot be watched"),
        pytest.param(start("root:deeper"), NotFound, id="nobody is born there by a write"),
        pytest.param(start("system:shards", identity=IDENTITY), Forbidden, id="the installation's"),
        pytest.param(start(label_selector="a in b"), BadRequest, id="label selector"),
        pytest.param(start(field_selector="spec.x=1"), BadRequest, id="field selector"),
        pytest.param(start(revision=1), Expired, id="before the birth"),
        pytest.param(start(revision=2, resumed=True, cluster_id=17), Expired, id="of another incarnation"),
        pytest.param(start("late", revision=2, resumed=True, cluster_id=17), Expired, id="of one that is gone"),
        pytest.param(start(initial=True, initial_revision=1, initial_after="/a"), Expired, id="a state of before"),
    ],
)
async def test_refusals(starts: WatchStarts, request_: pb.StartWatch, error: type[ApiError]) -> None:
    with pytest.raises(error):
        starts.judge(request_)


async def test_ownership_comes_first(tier: WatchTier, starts: WatchStarts) -> None:
    tier.ownership.moved["root"] = 3
    with pytest.raises(NotOwned):
        starts.judge(start("root", "gadgets"))


async def test_a_birth_that_is_not_durable_is_waited_for(tier: WatchTier, starts: WatchStarts) -> None:
    tier.bear("late", put("a"))
    with pytest.raises(NotDurable):
        starts.judge(start("late"))
    await tier.settled()
    assert starts.judge(start("late", initial=True)).cursor is not None


@pytest.mark.parametrize("field", ["revision", "minimum_revision", "initial_revision"])
async def test_what_is_not_reached(tier: WatchTier, starts: WatchStarts, field: str) -> None:
    with pytest.raises(NotReached) as raised:
        starts.judge(start(initial=True, **{field: tier.store.durable_revision + 1}))
    assert raised.value.error.code == 504


async def test_where_reading_begins(tier: WatchTier, starts: WatchStarts) -> None:
    born, newest = tier.cluster("root").created_revision, tier.store.durable_revision
    for request, begins in (
        (start(initial=True), (Phase.INITIAL, 0, None)),
        (
            start(initial=True, initial_revision=born, initial_after="default/a"),
            (Phase.INITIAL, born, ("default", "a")),
        ),
        (start(revision=born), (Phase.REPLAY, born, None)),
        (start(), (Phase.REPLAY, newest, None)),
        (start(revision=2, resumed=True), (Phase.REPLAY, born - 1, None)),
        (start(revision=2, resumed=True, cluster_id=born), (Phase.REPLAY, born - 1, None)),
    ):
        cursor = starts.judge(request).cursor
        assert cursor is not None
        assert (cursor.phase, cursor.revision, cursor.after) == begins
    assert starts.judge(start("late", initial=True)).cursor is None


async def test_equal_selections_are_shared_while_in_use(starts: WatchStarts) -> None:
    one, two = (starts.judge(start(label_selector="a=b")).selection for _ in range(2))
    assert one is two
    assert starts.judge(start(label_selector="a=c")).selection is not one
    del one, two
    gc.collect()
    assert len(starts._selections) == 0


async def test_a_name_in_the_field_selector_is_a_place(starts: WatchStarts) -> None:
    selection = starts.judge(start(namespace="default", field_selector="metadata.name=a")).selection
    assert (selection.name, selection.fields, selection.single) == ("a", None, True)
    selection = starts.judge(start(field_selector="metadata.name=a,type=t")).selection
    assert (selection.name, selection.plain) == ("a", False)


async def test_selectors_of_wildcard_watches_judge_what_is_served() -> None:
    """The first object was written before the definition named the field; its header says nothing of it."""
    async with established(version()) as client:
        await client.create(WIDGETS, widget("a", {"color": "blue"}))
        definition = await client.get(f"{CRDS}/widgets.example.com")
        definition["spec"] = crd(version(selectableFields=[{"jsonPath": ".spec.color"}]))["spec"]
        await client.do("PUT", f"{CRDS}/widgets.example.com", definition)
        await client.create(WIDGETS, widget("b", {"color": "red"}))
        await client.create(WIDGETS, widget("c", {"color": "blue"}))
        group = {"group": "example.com", "version": "v1", "resource": "widgets", "identity": ADMIN.encode()}
        store = client.shard.store
        wanted = pb.StartWatch(cluster="*", initial=True, field_selector="spec.color=blue", **group)
        begun = WatchStarts(client.shard).judge(wanted)
        assert begun.cursor is not None
        shown = [
            orjson.loads(event.object)["metadata"]["name"]
            for event in begun.cursor.step(store, History(store.durable_revision, 1 << 20)).events
        ]
        assert shown == ["a", "c"]
