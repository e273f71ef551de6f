"""The prototype's scenario of two clusters, its defects, and that the order of arrival does not matter."""

import copy
import itertools
from typing import Any

import pytest

from kcpshard.schema.pulled_apis import PulledApi
from kcpsyncer.conditions import status_of
from kcpsyncer.controllers.api_negotiation import Plan, View, differences, negotiate
from kcpsyncer.imported_apis import NEVER, PUBLISHED, UNPUBLISHED, api_of, import_of

NOW = "2026-01-01T00:00:00Z"
Object = dict[str, Any]


def schema(*fields: str) -> Object:
    properties = {name: {"type": "string"} for name in fields}
    return {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}


NEW, OLD = schema("image", "ephemeral"), schema("image")


def served(fields: Object = NEW, version: str = "v1", **changes: Any) -> PulledApi:
    api = PulledApi(
        "apps", version, "deployments", "deployment", "Deployment", "DeploymentList", "Namespaced", ("deploy",), (),
        ("status", "scale"), fields,
    )  # fmt: skip
    return api._replace(**changes)


class World:
    """What a server would make of the plans: uids, generations, a definition that becomes established."""

    def __init__(self, auto_publish: bool = False) -> None:
        self.auto_publish = auto_publish
        self.imports: dict[str, Object] = {}
        self.negotiated: dict[str, Object] = {}
        self.definition: Object | None = None
        self.objects = 0
        self.establish = True
        self._uids = itertools.count(1)

    def add(self, location: str, api: PulledApi | None = None, strategy: str = UNPUBLISHED) -> Object:
        cluster = {"metadata": {"name": location, "uid": f"uid-{location}"}}
        made = import_of(api or served(), cluster)
        made["spec"]["schemaUpdateStrategy"] = strategy
        made["metadata"]["uid"] = f"import-{next(self._uids)}"
        self.imports[made["metadata"]["name"]] = made
        return made

    def settle(self) -> None:
        for _ in range(10):
            if not self.step():
                return
        raise AssertionError("the negotiation does not come to rest")

    def step(self) -> bool:
        plan = self.plan()
        for obj in plan.negotiated:
            obj["metadata"].setdefault("uid", f"negotiated-{next(self._uids)}")
            self.negotiated[obj["metadata"]["name"]] = copy.deepcopy(obj)
        for obj in plan.removed:
            del self.negotiated[obj["metadata"]["name"]]
        for obj in plan.imports:
            self.imports[obj["metadata"]["name"]] = copy.deepcopy(obj)
        if plan.delete_definition:
            self.definition = None
        if plan.definition is not None:
            self.define(plan.definition)
        return bool(plan.negotiated or plan.removed or plan.imports or plan.definition or plan.delete_definition)

    def plan(self) -> Plan:
        view = View(list(self.imports.values()), list(self.negotiated.values()), self.definition)
        plan = negotiate(view, self.auto_publish, NOW)
        return (
            negotiate(view._replace(has_objects=self.objects > 0), self.auto_publish, NOW) if plan.must_count else plan
        )

    def define(self, definition: Object) -> None:
        stored = (definition.get("status") or {}).get("storedVersions") or []
        self.definition = copy.deepcopy(definition)
        good = "True" if self.establish else "False"
        self.definition["status"] = {
            "conditions": [{"type": "Established", "status": good}, {"type": "NamesAccepted", "status": good}],
            "storedVersions": [*stored, *(v["name"] for v in definition["spec"]["versions"] if v["storage"])],
        }

    def publish(self, publish: bool = True) -> None:
        for each in self.negotiated.values():
            each["spec"]["publish"] = publish
        self.settle()

    def condition(self, location: str, kind: str) -> str:
        for each in self.imports.values():
            if each["spec"]["location"] == location:
                return status_of((each.get("status") or {}).get("conditions"), kind)
        raise KeyError(location)

    def offered(self, version: str = "v1") -> list[str]:
        found = self.negotiated[f"deployments.{version}.apps"]
        return sorted(found["spec"]["openAPIV3Schema"]["properties"]["spec"]["properties"])

    def published(self, kind: str = "Published", version: str = "v1") -> str:
        found = self.negotiated[f"deployments.{version}.apps"]
        return status_of((found.get("status") or {}).get("conditions"), kind)

    def defined(self) -> list[str]:
        assert self.definition is not None
        version = self.definition["spec"]["versions"][0]
        return sorted(version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"])


@pytest.fixture
def world() -> World:
    return World()


def test_the_scenario_of_two_clusters(world: World) -> None:
    east = world.add("east")
    world.settle()
    assert (world.condition("east", "Compatible"), world.condition("east", "Available")) == ("True", "")
    assert "publish" not in world.negotiated["deployments.v1.apps"]["spec"] and not world.published()
    assert world.definition is None

    world.publish()
    assert (world.published(), world.published("Enforced"), world.published("Submitted")) == ("True", "False", "True")
    assert world.defined() == ["ephemeral", "image"] and world.condition("east", "Available") == "True"

    west = world.add("west", served(OLD))
    world.settle()
    assert (world.condition("west", "Compatible"), world.condition("west", "Available")) == ("False", "")
    message = world.imports[west["metadata"]["name"]]["status"]["conditions"][0]["message"]
    assert message == (
        "Deployment.properties[spec].properties: properties have been removed in an incompatible way: [ephemeral]"
    )
    assert world.defined() == ["ephemeral", "image"]

    world.imports[west["metadata"]["name"]]["spec"]["schemaUpdateStrategy"] = PUBLISHED
    world.settle()
    assert [world.condition("west", kind) for kind in ("Compatible", "Available")] == ["True", "True"]
    assert world.offered() == ["image"] and world.defined() == ["image"]

    del world.imports[west["metadata"]["name"]]
    world.settle()
    assert world.offered() == ["ephemeral", "image"] == world.defined()

    del world.imports[east["metadata"]["name"]]
    world.settle()
    assert not world.negotiated and world.definition is None


def manual(fields: Object) -> Object:
    return {
        "metadata": {"name": "deployments.apps"},
        "spec": {
            "group": "apps",
            "scope": "Namespaced",
            "names": {"plural": "deployments", "kind": "Deployment"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": fields}}],
        },
    }


def test_a_definition_applied_by_hand_dictates(world: World) -> None:
    world.define(manual(schema("image", "more")))
    before = copy.deepcopy(world.definition)
    world.add("west", served(OLD))
    world.settle()
    assert (world.condition("west", "Compatible"), world.condition("west", "Available")) == ("False", "")
    assert world.negotiated["deployments.v1.apps"]["spec"]["publish"]
    assert (world.published(), world.published("Enforced")) == ("True", "True")
    world.imports["deployments.west.v1.apps"]["spec"]["schemaUpdateStrategy"] = PUBLISHED
    world.add("east")
    world.settle()
    assert world.condition("west", "Compatible") == world.condition("east", "Compatible") == "False"
    assert world.offered() == ["image", "more"] and world.definition == before
    world.definition = None
    world.settle()
    assert world.offered() == ["image"] and not world.published("Enforced") and world.definition is None


def test_available_means_compatible(world: World) -> None:
    """D-9"""
    world.add("east", strategy=PUBLISHED)
    world.add("west")
    world.settle()
    world.publish()
    assert world.condition("west", "Available") == "True"
    world.add("west", served(OLD))  # it was downgraded
    world.imports["deployments.west.v1.apps"]["status"] = {"conditions": [{"type": "Available", "status": "True"}]}
    world.settle()
    assert (world.condition("west", "Compatible"), world.condition("west", "Available")) == ("False", "False")


def outcome(arrivals: tuple[tuple[str, Object, str], ...], at_once: bool) -> Any:
    world = World()
    for location, fields, strategy in arrivals:
        world.add(location, served(fields), strategy)
        if not at_once:
            world.settle()
    world.settle()
    conditions = {location: world.condition(location, "Compatible") for location, _, _ in arrivals}
    return world.offered(), conditions


ARRIVALS = (
    ("a", schema("image", "x", "y"), UNPUBLISHED),
    ("b", schema("image", "y", "z"), PUBLISHED),
    ("c", schema("image", "x"), NEVER),
    ("d", {"type": "object", "properties": {"spec": {"type": "boolean"}}}, UNPUBLISHED),
)


@pytest.mark.parametrize("at_once", [True, False])
def test_the_order_of_arrival_does_not_matter(at_once: bool) -> None:
    """D-10"""
    outcomes = [outcome(order, at_once) for order in itertools.permutations(ARRIVALS)]
    assert all(each == outcomes[0] for each in outcomes)
    assert outcomes[0] == (["image", "y"], {"a": "True", "b": "True", "c": "False", "d": "False"})


def test_an_upgraded_cluster_widens_what_is_published(world: World) -> None:
    """D-10, D-13: also without an import being deleted."""
    world.add("east")
    world.add("west", served(OLD))
    world.settle()
    world.publish()
    assert world.defined() == ["image"]
    world.imports["deployments.west.v1.apps"]["spec"]["openAPIV3Schema"] = NEW
    world.settle()
    assert world.defined() == ["ephemeral", "image"]


def test_a_cluster_that_may_not_narrow_what_is_published_falls_behind(world: World) -> None:
    world.add("east")
    world.add("west")
    world.settle()
    world.publish()
    world.imports["deployments.west.v1.apps"]["spec"]["openAPIV3Schema"] = OLD
    world.settle()
    assert world.defined() == ["ephemeral", "image"]
    assert world.condition("west", "Compatible") == "False" and world.condition("east", "Available") == "True"


def test_publishing_can_be_taken_back_while_there_are_no_objects(world: World) -> None:
    """D-11"""
    world.add("east")
    world.settle()
    world.publish()
    world.objects = 1
    world.publish(False)
    assert world.definition is not None and world.published() == "True"
    reasons = [c.get("reason") for c in world.negotiated["deployments.v1.apps"]["status"]["conditions"]]
    assert "ObjectsExist" in reasons
    world.objects = 0
    world.settle()
    assert world.definition is None and not world.published() and world.condition("east", "Available") == "False"


def test_the_last_cluster_does_not_take_the_objects_with_it(world: World) -> None:
    """D-11"""
    world.add("east")
    world.settle()
    world.publish()
    world.objects = 3
    world.imports.clear()
    world.settle()
    assert world.definition is not None and world.offered() == ["ephemeral", "image"]
    world.objects = 0
    world.settle()
    assert not world.negotiated and world.definition is None


def test_a_published_definition_that_was_deleted_comes_back(world: World) -> None:
    """D-11"""
    world.add("east")
    world.settle()
    world.publish()
    world.definition = None
    world.settle()
    assert world.definition is not None and world.published() == "True"


def test_a_definition_that_is_refused_is_not_published(world: World) -> None:
    world.establish = False
    world.add("east")
    world.settle()
    world.publish()
    assert (world.published(), world.condition("east", "Available")) == ("False", "False")


def test_published_by_itself() -> None:
    world = World(auto_publish=True)
    world.add("east")
    world.settle()
    assert world.published() == "True" and world.condition("east", "Available") == "True"
    assert world.definition is not None
    owner = world.definition["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["uid"]) == ("NegotiatedAPIResource", "negotiated-2")


def test_versions_share_a_definition_and_the_best_is_stored() -> None:
    world = World(auto_publish=True)
    world.add("east", served(version="v1beta1"))
    world.settle()
    world.add("west", served(version="v1"))
    world.settle()
    assert world.definition is not None
    versions = [(v["name"], v["served"], v["storage"]) for v in world.definition["spec"]["versions"]]
    assert versions == [("v1", True, True), ("v1beta1", True, False)]
    assert len(world.definition["metadata"]["ownerReferences"]) == 2


def test_a_version_that_is_stored_stays_known() -> None:
    world = World(auto_publish=True)
    world.add("east", served(version="v1beta1"))
    world.settle()
    world.add("west", served(version="v1"))
    assert world.definition is not None
    world.settle()
    world.definition["status"]["storedVersions"] = ["v1beta1", "v1"]
    del world.imports["deployments.east.v1beta1.apps"]
    world.settle()
    versions = [(v["name"], v["served"], v["storage"]) for v in world.definition["spec"]["versions"]]
    assert versions == [("v1", True, True), ("v1beta1", False, False)]


def test_more_than_the_schema_is_compared() -> None:
    assert differences(served(), served(scope="Cluster")) == ["scope differs: Namespaced and Cluster"]
    assert differences(served(), served(kind="Other")) == ["kind differs: Deployment and Other"]
    assert differences(served(), served(subresources=("status",))) == ["subresource scale is missing"]
    assert differences(served(), served()) == []


def test_a_cluster_without_a_subresource_takes_it_from_all(world: World) -> None:
    world.add("east")
    world.add("west", served(subresources=("status",)))
    world.settle()
    assert api_of(world.negotiated["deployments.v1.apps"]).subresources == ("status",)
    assert world.condition("east", "Compatible") == world.condition("west", "Compatible") == "True"


def test_an_import_that_never_changes_anything(world: World) -> None:
    world.add("east", strategy=NEVER)
    world.settle()
    assert world.offered() == ["ephemeral", "image"]
    world.add("west", served(OLD))
    world.settle()
    assert world.offered() == ["image"] and world.condition("east", "Compatible") == "True"
