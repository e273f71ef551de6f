"""Forks against a model in which a fork is a full copy; then what only the store itself knows."""

import copy
import random
from typing import Any

import pytest

from kcpshard import failpoints
from kcpshard.settings import Settings
from kcpshard.storage import envelope, forks, keyspace
from kcpshard.storage.contract import LogicalCluster, Put, Remove
from kcpshard.storage.envelope import encode_object
from kcpshard.storage.forks import ForkRefused
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from kcpshard.storage.owners import Dependent
from kcpshard.storage.template import Template
from kcpshard.storage.verification import violations

State = dict[tuple[str, str, str], tuple[int, str]]  # place → revision, value


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000

    def __call__(self) -> int:
        self.now += 1_000
        return self.now


class Bootstrap:
    """An object that every logical cluster shows."""

    def __init__(self, name: str) -> None:
        self.group_resource, self.namespace, self.name = "roles", "", name
        self.document = {"apiVersion": "v1", "kind": "Role", "metadata": {"name": name}, "value": "template"}


TEMPLATE = (Bootstrap("admin"), Bootstrap("m"), Bootstrap("view"))
PLACES = [
    *((type_, namespace, name) for type_ in ("maps", "secrets") for namespace in ("a", "b") for name in "klmn"),
    *(("roles", "", name) for name in ("admin", "k", "m", "view")),
]


def put(place: tuple[str, str, str], value: str, owner: str = "") -> Put:
    type_, namespace, name = place
    meta: dict[str, Any] = {"name": name, "uid": f"{name}-{value}"}
    if owner:
        meta["ownerReferences"] = [{"uid": owner}]
    json, hole, annotations = encode_object({"apiVersion": "v1", "kind": "X", "metadata": meta, "value": value})
    return Put(type_, namespace, name, json, hole, annotations, meta["uid"], "v1", {}, {})


class Model:
    """Each logical cluster: its present state, and every state it has had."""

    def __init__(self) -> None:
        self.states: dict[str, State] = {}
        self.past: dict[str, list[tuple[int, State]]] = {}

    def now(self, path: str, revision: int) -> State:
        state = self.states[path]
        self.past[path].append((revision, copy.copy(state)))
        return state


def value_of(raw: bytes | None) -> tuple[int, str] | None:
    import orjson

    return None if raw is None else (envelope.revision(raw), orjson.loads(envelope.body(raw))["value"])


class Tried:
    """A store beside its model."""

    def __init__(self, seed: int) -> None:
        self.random, self.clock, self.model = random.Random(seed), Clock(), Model()
        self.engine, self.settings = MemoryEngine(), Settings(retention_s=(3600, 3600, 3600))
        self.open()

    def open(self) -> None:
        self.store = Store(self.engine, 1, self.clock, self.settings, template=Template(TEMPLATE))

    async def settle(self) -> None:
        await self.store._writer.drain()

    def cluster(self, path: str) -> LogicalCluster:
        found = self.store.pending_cluster(path)
        assert found is not None
        return found

    async def birth(self, path: str) -> None:
        cluster, pending = self.store.create_cluster(path, [put(("maps", "a", "k"), "born")])
        self.model.states[path], self.model.past[path] = {}, []
        for each in TEMPLATE:
            self.model.states[path]["roles", "", each.name] = (cluster.id, "template")
        self.model.states[path]["maps", "a", "k"] = (pending.revision, "born")
        self.model.now(path, pending.revision)
        await self.settle()

    async def fork(self, origin: str, path: str) -> None:
        await self.settle()
        cluster, pending = self.store.fork_cluster(self.cluster(origin), path, [put(("maps", "b", "fork"), path)])
        state = dict(self.model.states[origin])
        for place, (revision, value) in list(state.items()):
            if value == "template":
                state[place] = (cluster.id, value)  # its own, as any other's
            assert revision < pending.revision
        state["maps", "b", "fork"] = (pending.revision, path)
        self.model.states[path], self.model.past[path] = state, []
        self.model.now(path, pending.revision)
        await self.settle()

    def write(self, path: str) -> None:
        state, place = self.model.states[path], self.random.choice(PLACES)
        cluster = self.cluster(path)
        if place in state and self.random.random() < 0.4:
            value = self.store.pending(cluster, *place)
            assert value is not None
            json, hole = envelope.body_at(value, 0), envelope.hole(value)
            revision = self.store.commit(cluster, [Remove(*place, json, hole)]).revision
            del state[place]
        else:
            text = f"{self.random.random()}"
            revision = self.store.commit(cluster, [put(place, text)]).revision
            state[place] = (revision, text)
        self.model.now(path, revision)

    def check(self) -> None:
        for path, state in self.model.states.items():
            cluster = self.cluster(path)
            for place in PLACES:
                assert value_of(self.store.get(cluster, *place)) == state.get(place), (path, place)
                assert value_of(self.store.pending(cluster, *place)) == state.get(place)
            for type_ in ("maps", "secrets", "roles"):
                wanted = {place: found for place, found in state.items() if place[0] == type_}
                assert self.store.count(cluster, type_) == len(wanted), (path, type_)
                self.check_lists(cluster, type_, 0, wanted)
                own = [item for item in self.store.scan_own(cluster, type_, None, 100)]
                held = {place: f for place, f in wanted.items() if f[1] != "template"}
                assert {(type_, i.namespace, i.name): value_of(i.value) for i in own} == held
            revision, then = self.random.choice(self.model.past[path])
            if revision >= cluster.oldest_revision:
                for place in PLACES:
                    assert value_of(self.store.get_at(cluster, *place, revision)) == then.get(place), (path, place)
                for type_ in ("maps", "roles"):
                    self.check_lists(cluster, type_, revision, {p: f for p, f in then.items() if p[0] == type_})

    def check_lists(self, cluster: LogicalCluster, type_: str, revision: int, wanted: State) -> None:
        for namespace in ("", "a"):
            limit, after, found = self.random.choice((1, 2, 3, 100)), None, {}
            while items := self.store.scan(cluster, type_, namespace, revision, after, limit):
                found.update({(type_, item.namespace, item.name): value_of(item.value) for item in items})
                after = (items[-1].namespace, items[-1].name)
                if len(items) < limit:
                    break
            expected = {place: f for place, f in wanted.items() if not namespace or place[1] == namespace}
            assert found == expected and list(found) == sorted(found), (cluster.path, type_, revision)


@pytest.mark.parametrize("seed", range(25))
async def test_a_fork_is_what_a_copy_would_be(seed: int) -> None:
    tried = Tried(seed)
    await tried.birth("prod")
    names = ["prod"]
    for step in range(120):
        match tried.random.randrange(24):
            case 0 if len(names) < 5:
                origin = tried.random.choice(names)
                await tried.fork(origin, f"f{step}")
                names.append(f"f{step}")
            case 1:
                await tried.settle()
                await tried.store.compact(tried.clock.now + tried.random.choice((0, 7200_000_000)))
            case 2:
                await tried.settle()
                await tried.store.close()
                tried.open()
            case 3 if len(names) > 2:
                await tried.settle()
                await tried.store.detach_forks(tried.cluster(tried.random.choice(names)))
            case _:
                tried.write(tried.random.choice(names))
        if tried.random.random() < 0.3:
            await tried.settle()
        if step % 6 == 0:
            await tried.settle()
            tried.check()
    await tried.settle()
    tried.check()
    # The end of one leaves the others as they are.
    gone = tried.random.choice(names)
    cluster = tried.cluster(gone)
    removals = []
    for place in tried.model.states[gone]:
        value = tried.store.pending(cluster, *place)
        assert value is not None
        removals.append(Remove(*place, envelope.body_at(value, 0), envelope.hole(value)))
    if tried.random.random() < 0.3:
        removals = removals[:1]  # who wants no events leaves the rest
    tried.store.remove_cluster(cluster, removals)
    del tried.model.states[gone]
    await tried.settle()
    tried.check()
    await tried.store.close()
    assert [each for each in violations(tried.engine) if "content" not in each.name] == []
    tried.open()
    tried.check()
    await tried.store.close()


async def prod(objects: int = 3) -> tuple[Tried, LogicalCluster]:
    tried = Tried(0)
    await tried.birth("prod")
    cluster = tried.cluster("prod")
    tried.store.commit(cluster, [put(("maps", "a", f"o{n}"), "1") for n in range(objects)])
    await tried.settle()
    return tried, cluster


async def test_nothing_is_copied_until_it_is_written() -> None:
    tried, cluster = await prod(300)
    fork, _ = tried.store.fork_cluster(cluster, "try", [put(("maps", "b", "x"), "1")])
    await tried.settle()
    held = lambda: tried.engine.count(keyspace.OBJECTS, fork.prefix, keyspace.after_prefix(fork.prefix), 1000)  # noqa: E731
    assert held() == 1 and tried.store.count(fork, "maps") == 302
    tried.store.commit(cluster, [put(("maps", "a", "o1"), "2")])
    await tried.settle()
    assert held() == 2 and value_of(tried.store.get(fork, "maps", "a", "o1")) == value_of(
        tried.store.get_at(cluster, "maps", "a", "o1", fork.id)
    )
    await tried.store.detach_forks(cluster)
    assert held() == 302 and tried.store.origin_of(fork) is None
    await tried.store.close()
    assert violations(tried.engine) == []


async def test_owners_are_found_in_both() -> None:
    tried, cluster = await prod()
    tried.store.commit(cluster, [put(("maps", "a", name), "1", owner="u") for name in ("x", "y", "z")])
    await tried.settle()
    fork, _ = tried.store.fork_cluster(cluster, "try", [put(("maps", "b", "x"), "1")])
    await tried.settle()
    all_three = [Dependent("maps", "a", name) for name in ("x", "y", "z")]
    assert tried.store.dependents(fork, "u", None, 10) == all_three
    tried.store.commit(cluster, [put(("maps", "a", "x"), "2")])  # owned no more, but in the fork
    tried.store.commit(fork, [put(("maps", "a", "y"), "2", owner="u")])
    tried.store.commit(fork, [put(("maps", "a", "z"), "2")])
    await tried.settle()
    assert tried.store.dependents(fork, "u", None, 10) == all_three[:2]
    assert tried.store.dependents(cluster, "u", None, 10) == all_three[1:]
    assert tried.store.dependents(fork, "u", all_three[0], 1) == all_three[1:2]
    await tried.store.close()


async def test_there_is_a_most_of_forks_and_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks, "MOST_FORKS", 2)
    tried, cluster = await prod()
    level = cluster
    for number in range(forks.MOST_LEVELS):
        level, _ = tried.store.fork_cluster(level, f"l{number}", [put(("maps", "b", "x"), "1")])
        await tried.settle()
    with pytest.raises(ForkRefused, match="levels deep"):
        tried.store.fork_cluster(level, "more", [put(("maps", "b", "x"), "1")])
    tried.store.fork_cluster(cluster, "second", [put(("maps", "b", "x"), "1")])
    await tried.settle()
    with pytest.raises(ForkRefused, match="2 forks already"):
        tried.store.fork_cluster(cluster, "third", [put(("maps", "b", "x"), "1")])
    tried.store.transfers.spare(tried.cluster("l0").id)
    with pytest.raises(ForkRefused, match="on its way"):
        tried.store.fork_cluster(tried.cluster("l0"), "more", [put(("maps", "b", "x"), "1")])
    await tried.store.close()


async def test_wildcard_reads_see_what_a_fork_shows() -> None:
    tried, cluster = await prod()
    fork, pending = tried.store.fork_cluster(cluster, "try", [put(("maps", "b", "x"), "1")])
    await tried.settle()
    scan = tried.store.scan_all(
        "maps", "", pending.revision, 0, None, lambda _id, path: path if path == "try" else None
    )
    found = []
    while not scan.is_done:
        found += [item.name for each in scan.next_slice(100) for item in each.items]
    assert found == ["k", "o0", "o1", "o2", "x"]
    born = [change.name for change in tried.store.shown_at_birth(fork.id, "maps")]
    assert born == ["k", "o0", "o1", "o2"]
    await tried.store.close()


async def test_a_death_while_objects_are_given_away() -> None:
    tried, cluster = await prod(400)
    fork, _ = tried.store.fork_cluster(cluster, "try", [put(("maps", "b", "x"), "1")])
    await tried.settle()

    class Death(Exception):
        pass

    def die() -> None:
        raise Death

    failpoints.arm("forks.giving", die, on_hit=2)
    try:
        with pytest.raises(Death):
            await tried.store.detach_forks(cluster)
    finally:
        failpoints.armed.clear()
    tried.open()  # as a new process would
    again = tried.cluster("try")
    assert tried.store.origin_of(again) == cluster.id and tried.store.count(again, "maps") == 402
    assert len(tried.store.scan(again, "maps", "", 0, None, 1000)) == 402
    await tried.store.detach_forks(again)
    assert len(tried.store.scan(again, "maps", "", 0, None, 1000)) == 402
    await tried.store.close()
    assert violations(tried.engine) == [] and fork.id == again.id
