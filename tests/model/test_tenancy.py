"""Workspaces, shared types and moves over two shards against a small model: what exists, what is served where, what is
refused.

A story is a list of steps that hypothesis makes up, and makes smaller when it finds one that ends otherwise. A move
changes nothing that anybody can see. `make tenancy-model` tells longer stories.
"""

import asyncio
import os
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kcpshard.api.requests import Identity
from kcpshard.controllers import api_bindings, api_exports, logical_clusters, workspace_types, workspaces
from kcpshard.controllers.assembly import assemble
from kcpshard.storage.durability import durable
from tests.contracts.api_client import ApiClient
from tests.contracts.moved_cluster import move
from tests.contracts.shards_tier import ShardsTier, shown
from tests.contracts.shared_apis import BINDINGS, EXPORTS, SCHEMAS, WIDGETS, SharedApis, binding, export, schema, widget
from tests.contracts.workspace_tree import TYPES, WORKSPACES, workspace

CONTROLLERS = frozenset(
    {
        api_exports.CONTROLLER,
        api_bindings.CONTROLLER,
        workspaces.CONTROLLER,
        workspace_types.CONTROLLER,
        logical_clusters.CONTROLLER,
        "namespace-controller",
    }
)
EXAMPLES = int(os.environ.get("KCP_TENANCY_STORIES", "6"))
STEPS = int(os.environ.get("KCP_TENANCY_STEPS", "12"))
TYPES_OF = {"universal": None, "leaf": "nothing may lie below", "top": "only below root"}

which = st.integers(0, 30)  # of what there is, counted round
names = st.sampled_from(["a", "b", "c"])
steps = st.one_of(
    st.tuples(st.just("make"), which, names, st.sampled_from(sorted(TYPES_OF))),
    st.tuples(st.just("make"), which, names, st.just("universal")),
    st.tuples(st.just("delete"), which),
    st.tuples(st.just("bind"), which),
    st.tuples(st.just("unbind"), which),
    st.tuples(st.just("widget"), which, names),
    st.tuples(st.just("move"), which),
    st.tuples(st.just("rename"), which),
)


class Node:
    def __init__(self, type_: str) -> None:
        self.type, self.bound, self.widgets = type_, False, set[str]()


class Tenancy(SharedApis):
    """With the controllers of workspaces."""

    def run(self, number: int) -> None:
        super().run(number)
        self._running.pop().cancel()
        runner = self.runners[number] = assemble(self.tier.members[number].shard, CONTROLLERS)
        self._running.append(self.tier.tasks.create_task(runner.run()))


class Story:
    def __init__(self, shared: Tenancy) -> None:
        self.shared, self.tier = shared, shared.tier
        self.nodes = {"root": Node("root")}

    async def begin(self) -> None:
        self.tier.home["root"] = 1
        root = self.at("root")
        plain = {"apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "WorkspaceType"}
        for name in ("root", "universal"):  # which a shard shows, and these stores do not
            await root.create(TYPES, {**plain, "metadata": {"name": name}, "spec": {}})
        await root.create(
            TYPES, {**plain, "metadata": {"name": "leaf"}, "spec": {"limitAllowedChildren": {"none": True}}}
        )
        only = {"limitAllowedParents": {"types": [{"name": "root", "path": "root"}]}}
        await root.create(TYPES, {**plain, "metadata": {"name": "top"}, "spec": only})
        await root.create(SCHEMAS, schema())
        await root.create(EXPORTS, export())
        await self.shared.until(root, f"{EXPORTS}/widgets", lambda found: found["status"]["identityHash"])

    def at(self, path: str, identity: Identity | None = None) -> ApiClient:
        return self.tier.client(path, *([identity] if identity else []))

    def pick(self, number: int) -> str:
        return sorted(self.nodes)[number % len(self.nodes)]

    async def tell(self, step: Sequence[Any]) -> None:
        await getattr(self, step[0])(self.pick(step[1]), *step[2:])
        await self.agrees()

    # --- the steps

    async def make(self, parent: str, name: str, type_: str) -> None:
        path = f"{parent}:{name}"
        if parent.count(":") > 2:
            return
        above = self.nodes[parent].type
        expected = 201
        if above == "leaf" or (type_ == "top" and above != "root"):
            expected = 403
        elif path in self.nodes:
            expected = 409
        reply = await self.at(parent).do("POST", WORKSPACES, workspace(name, type_))
        assert reply.code == expected, reply.json
        if expected == 201:
            self.nodes[path] = Node(type_)

    async def delete(self, path: str) -> None:
        if path == "root":
            return
        parent, _, name = path.rpartition(":")
        assert (await self.at(parent).do("DELETE", f"{WORKSPACES}/{name}")).code == 200
        for each in list(self.nodes):
            if each == path or each.startswith(f"{path}:"):
                del self.nodes[each]

    async def bind(self, path: str) -> None:
        expected = 409 if self.nodes[path].bound else 201
        reply = await self.at(path).do("POST", BINDINGS, binding(path="root"))
        assert reply.code == expected, reply.json
        self.nodes[path].bound = True

    async def unbind(self, path: str) -> None:
        expected = 200 if self.nodes[path].bound else 404
        assert (await self.at(path).do("DELETE", f"{BINDINGS}/widgets")).code == expected
        self.nodes[path].bound, self.nodes[path].widgets = False, set()

    async def widget(self, path: str, name: str) -> None:
        node = self.nodes[path]
        expected = 404 if not node.bound else 409 if name in node.widgets else 201
        reply = await self.at(path).do("POST", WIDGETS, widget(name))
        assert reply.code == expected, reply.json
        if expected == 201:
            node.widgets.add(name)

    async def move(self, path: str) -> None:
        """Of the tier itself, without its fronts: the model knows nothing of it."""
        number = self.tier.owner(path)
        source, target = self.tier.members[number].store, self.tier.members[3 - number].store
        found = source.pending_cluster(path)
        assert found is not None
        if path == "root":
            return  # its children's birth asks for types there, at most five seconds old
        moved = await move(source, target, path)
        self.tier.home[path] = 3 - number
        await durable(source.transfers.depart(found))
        await source.transfers.clear(found.id)
        await self.shared.runners[3 - number].look_through(moved)

    async def rename(self, path: str) -> None:
        if path == "root":
            return
        parent, _, name = path.rpartition(":")
        cluster = self.tier.members[self.tier.owner(parent)].store.pending_cluster(parent)
        assert cluster is not None
        # Everything in it, nothing of the installation.
        chief = Identity("chief", "", ("system:masters", "system:authenticated"), {}, cluster.id)
        merge = "application/merge-patch+json"
        for patch, code in (
            ({"metadata": {"name": "other"}}, 400),
            ({"spec": {"cluster": "root:other"}}, 403),
            ({"spec": {"type": {"name": "organization", "path": "root"}}}, 422),
        ):
            reply = await self.at(parent, chief).do("PATCH", f"{WORKSPACES}/{name}", patch, merge)
            assert reply.code in (code, 403), (patch, reply.json)

    # --- what must be so

    async def agrees(self) -> None:
        difference: object = None
        try:
            async with asyncio.timeout(60):
                while (difference := await self.difference()) is not None:
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(difference) from None

    async def difference(self) -> object:
        wanted = {path for path in self.nodes if path != "root"}
        found = set[str]()
        for path, node in self.nodes.items():
            reply = await self.at(path).do("GET", WORKSPACES)
            if reply.code != 200:
                return path, reply.json
            for each in reply.json["items"]:
                if each["status"]["phase"] != "Ready":
                    return each
                found.add(f"{path}:{each['metadata']['name']}")
            reply = await self.at(path).do("GET", WIDGETS)
            if reply.code != (200 if node.bound else 404):
                return path, node.bound, reply.code
            if node.bound and {each["metadata"]["name"] for each in reply.json["items"]} != node.widgets:
                return path, node.widgets, reply.json
        if found != wanted:
            return found, wanted
        alive = {each.path for member in self.tier.members.values() for each in member.store.clusters()}
        if {path for path in alive if ":" in path} != wanted:
            return alive, wanted
        widgets = sorted(f"{path}/{name}" for path, node in self.nodes.items() for name in node.widgets)
        listed = (await self.tier.list(WIDGETS))["items"]
        return None if sorted(shown(listed)) == widgets else (shown(listed), widgets)


async def told(story: Sequence[Sequence[Any]]) -> None:
    async with asyncio.TaskGroup() as tasks:
        shared = Tenancy(ShardsTier(2, tasks))
        try:
            made = Story(shared)
            await made.begin()
            for step in story:
                await made.tell(step)
        finally:
            await shared.close()


@settings(max_examples=EXAMPLES)
@given(st.lists(steps, min_size=STEPS // 2, max_size=STEPS))
def test_any_story_is_as_the_model_tells_it(story: Sequence[Sequence[Any]]) -> None:
    asyncio.run(told(story))
