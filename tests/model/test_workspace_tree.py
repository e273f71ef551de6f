"""The tree of workspaces against a small model: which may be made, which are Ready, what a deletion takes along.

Random types (that extend others, limit parents and children, have initializers and terminators), random workspaces,
deletions, initializers and terminators that do their work, in random order, each seed a story of its own.
"""

import random
from typing import Any

import pytest

from tests.contracts.workspace_tree import LOGICAL_CLUSTER, TYPES, WORKSPACES, Tree, tree, workspace

__all__ = ["tree"]

STEPS = 40
UNIVERSAL, ORGANIZATION, TEAM, ROOT = "universal", "organization", "team", "root"


class Type:
    def __init__(self, extends: list[str], parents: list[str], children: list[str], init: bool, end: bool) -> None:
        self.extends, self.parents, self.children, self.init, self.end = extends, parents, children, init, end


class Node:
    """`waits`: for whose work; before it is Ready, or, once it is `ending`, before it goes."""

    def __init__(self, type_: str, waits: set[str]) -> None:
        self.type, self.waits, self.ending = type_, waits, False


class Model:
    def __init__(self) -> None:
        self.types = {
            UNIVERSAL: Type([], [], [], False, False),
            ORGANIZATION: Type([UNIVERSAL], [ROOT], [UNIVERSAL], False, False),
            TEAM: Type([UNIVERSAL], [ORGANIZATION, TEAM], [], False, False),
            ROOT: Type([UNIVERSAL], ["nobody"], [], False, False),
        }
        self.nodes = {"root": Node(ROOT, set())}

    def closure(self, name: str) -> set[str]:
        found, left = set[str](), [name]
        while left:
            each = left.pop()
            if each not in found:
                found.add(each)
                left += self.types[each].extends
        return found

    def may_lie(self, parent: str, child: str) -> bool:
        above, below = self.closure(parent), self.closure(child)
        return all(not self.types[t].parents or above & set(self.types[t].parents) for t in below) and all(
            not self.types[t].children or below & set(self.types[t].children) for t in above
        )

    def waits(self, type_: str, member: str) -> set[str]:
        return {f"root:{t}" for t in self.closure(type_) if getattr(self.types[t], member)}

    def create(self, parent: str, name: str, type_: str) -> bool:
        """Whether it is accepted."""
        node = self.nodes[parent]
        if node.ending or f"{parent}:{name}" in self.nodes or not self.may_lie(node.type, type_):
            return False
        self.nodes[f"{parent}:{name}"] = Node(type_, self.waits(type_, "init"))
        return True

    def delete(self, path: str) -> None:
        """What has terminators of its own holds itself, and everything above it, back."""
        node = self.nodes[path]
        if not node.ending:
            node.ending, node.waits = True, self.waits(node.type, "end")
        self.settle()

    def settle(self) -> None:
        changed = True
        while changed:
            changed = False
            for path, node in sorted(self.nodes.items(), key=lambda each: -len(each[0])):
                if not node.ending or node.waits:
                    continue
                children = [each for each in self.nodes if each.rpartition(":")[0] == path]
                for child in children:
                    if not self.nodes[child].ending:
                        self.nodes[child].ending = changed = True
                        self.nodes[child].waits = self.waits(self.nodes[child].type, "end")
                if not children:
                    del self.nodes[path]
                    changed = True

    def phase(self, path: str) -> str:
        node = self.nodes[path]
        if node.ending:
            return "Terminating" if node.waits else "Deleting"
        return "Initializing" if node.waits else "Ready"


class Story:
    def __init__(self, tree: Tree, seed: int) -> None:
        self.tree, self.random, self.model = tree, random.Random(seed), Model()
        self.names = 0

    async def run(self) -> None:
        steps = (self.make_type, self.make, self.make, self.make, self.make, self.delete, self.work, self.work)
        for _ in range(STEPS):
            await self.random.choice(steps)()
            await self.tree.settle()
            await self.compare()
        await self.end()

    async def make_type(self) -> None:
        self.names += 1
        known = sorted(self.model.types)
        pick = lambda most: self.random.sample(known, self.random.randint(0, most))  # noqa: E731
        made = Type(pick(2), pick(2), pick(2), self.random.random() < 0.3, self.random.random() < 0.3)
        name = f"t{self.names}"
        spec: dict[str, Any] = {"initializer": made.init, "terminator": made.end}
        for member, names in (("limitAllowedParents", made.parents), ("limitAllowedChildren", made.children)):
            if names:
                spec[member] = {"types": [{"name": each, "path": "root"} for each in names]}
        extends = [f"root:{each}" for each in made.extends]
        await self.tree.root.create(TYPES, self.tree.type(name, extends=extends, **spec))
        self.model.types[name] = made

    async def make(self) -> None:
        usable = sorted(p for p in self.model.nodes if p == "root" or self.model.phase(p) != "Deleting")
        parent, type_ = self.random.choice(usable), self.random.choice(sorted(self.model.types))
        if parent.count(":") > 3:
            return
        name = f"w{self.random.randint(0, 3)}"
        accepted = self.model.create(parent, name, type_)
        client = self.tree.as_administrator_of(parent)
        if accepted:
            client = self.tree.at(parent)  # may use every type
        reply = await client.do("POST", WORKSPACES, workspace(name, type_))
        assert (reply.code == 201) is accepted, (parent, name, type_, reply.json)

    async def delete(self) -> None:
        paths = sorted(set(self.model.nodes) - {"root"})
        if paths:
            path = self.random.choice(paths)
            parent, _, name = path.rpartition(":")
            self.model.delete(path)
            assert (await self.tree.at(parent).do("DELETE", f"{WORKSPACES}/{name}")).code == 200

    async def work(self) -> None:
        """Somebody whom a workspace waits for has done its work."""
        waiting = sorted(path for path, node in self.model.nodes.items() if node.waits)
        if not waiting:
            return
        path = self.random.choice(waiting)
        node = self.model.nodes[path]
        node.waits.discard(self.random.choice(sorted(node.waits)))
        member = "terminators" if node.ending else "initializers"
        order = (await self.tree.at(path).get(LOGICAL_CLUSTER))["status"][member]
        left = [each for each in order if each in node.waits]
        await self.tree.at(path).patch(f"{LOGICAL_CLUSTER}/status", {"status": {member: left}})
        self.model.settle()

    async def compare(self) -> None:
        found = {}
        for parent in list(self.model.nodes):
            for each in (await self.tree.at(parent).do("GET", WORKSPACES)).json["items"]:
                found[f"{parent}:{each['metadata']['name']}"] = each["status"]["phase"]
        assert found == {path: self.model.phase(path) for path in self.model.nodes if path != "root"}
        alive = {each.path for each in self.tree.shard.store.clusters()} - {"root"}
        assert alive == set(found)

    async def end(self) -> None:
        """Everything goes when nobody is waited for any more."""
        for path in sorted(set(self.model.nodes) - {"root"}):
            if path.count(":") == 1:
                await self.tree.root.do("DELETE", f"{WORKSPACES}/{path.rpartition(':')[2]}")
        for _ in range(100):
            await self.tree.settle()
            left = {each.path for each in self.tree.shard.store.clusters()} - {"root"}
            if not left:
                return
            for path in left:
                await self.tree.at(path).do(
                    "PATCH",
                    f"{LOGICAL_CLUSTER}/status",
                    {"status": {"terminators": None}},
                    "application/merge-patch+json",
                )
        raise AssertionError(left)


@pytest.mark.parametrize("seed", range(12))
async def test_any_story_ends_as_the_model_says(tree: Tree, seed: int) -> None:
    await tree.root.create("/api/v1/namespaces", {"metadata": {"name": "x"}})
    await Story(tree, seed).run()
