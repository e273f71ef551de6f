"""Selectors on custom types: judged in the form that a reader gets."""

from typing import Any

import orjson

from kcpshard.api.selectors import parse_field_selector, parse_label_selector
from kcpshard.definitions.contract import Resource
from kcpshard.verbs.list_options import Selection
from kcpshard.verbs.served_selection import ServedSelection, chooser
from tests.contracts import converting
from tests.contracts.converting import ENDPOINTS_V1, ENDPOINTS_V2, ending
from tests.contracts.custom_types import CRDS, WIDGETS, crd, established, version, widget


def selection(labels: str = "", fields: str = "") -> Selection:
    return Selection(parse_label_selector(labels), parse_field_selector(fields, ("spec.color",)))


async def test_only_what_headers_cannot_say_is_looked_at() -> None:
    builtin = Resource()
    builtin.definition = None
    plain = selection("a=b", "spec.color=red")
    assert chooser(builtin, plain, orjson.dumps) is plain
    async with established() as client:
        custom = client.shard.catalog.find(client.shard.store.find_cluster("root"), "example.com", "v1", "widgets")
        assert custom is not None
        for headers in (selection(), selection("a=b"), selection("", "metadata.name=x")):
            assert chooser(custom, headers, orjson.dumps) is headers
        assert isinstance(chooser(custom, selection("", "spec.color=red"), orjson.dumps), ServedSelection)


async def test_a_field_that_became_selectable_later_selects_older_objects() -> None:
    async with established(version()) as client:
        for name, color in (("a", "blue"), ("b", "red"), ("c", "blue")):
            await client.create(WIDGETS, widget(name, {"color": color}))
        definition = await client.get(f"{CRDS}/widgets.example.com")
        definition["spec"] = crd(version(selectableFields=[{"jsonPath": ".spec.color"}]))["spec"]
        assert (await client.do("PUT", f"{CRDS}/widgets.example.com", definition)).code == 200
        await client.create(WIDGETS, widget("d", {"color": "blue"}))
        found = await client.do("GET", f"{WIDGETS}?fieldSelector=spec.color%3Dblue")
        assert found.names == ["a", "c", "d"]
        first = await client.do("GET", f"{WIDGETS}?fieldSelector=spec.color%3Dblue&limit=2")
        assert first.names == ["a", "c"]
        token = first.json["metadata"]["continue"]
        rest = await client.do("GET", f"{WIDGETS}?fieldSelector=spec.color%3Dblue&limit=2&continue={token}")
        assert rest.names == ["d"]


async def test_a_webhook_says_what_fields_and_labels_are() -> None:
    def answering(review: dict[str, Any]) -> Any:
        found = converting.answer(review)
        for obj in found["response"]["convertedObjects"]:
            if review["request"]["desiredAPIVersion"].endswith("v2"):
                obj["metadata"]["labels"] = {"port": obj["spec"]["port"]}
        return found

    async with converting.converting(answering, selectable=True) as it:
        for name in "abc":
            one = ending("v1", name, labels={"stored": "yes"})
            one["spec"]["hostPort"] = f"host:{'80' if name == 'b' else '81'}"
            await it.client.create(ENDPOINTS_V1, one)
        by_port = "fieldSelector=spec.port%3D81"
        assert (await it.client.do("GET", f"{ENDPOINTS_V2}?{by_port}")).names == ["a", "c"]
        assert (await it.client.do("GET", f"{ENDPOINTS_V2}?{by_port}&limit=1")).names == ["a"]
        assert (await it.client.do("GET", f"{ENDPOINTS_V2}?labelSelector=port%3D80")).names == ["b"]
        assert (await it.client.do("GET", f"{ENDPOINTS_V2}?labelSelector=stored%3Dyes")).names == []
        assert (await it.client.do("GET", f"{ENDPOINTS_V2}?fieldSelector=metadata.name%3Db,spec.port%3D81")).names == []
        assert (await it.client.do("GET", f"{ENDPOINTS_V1}?labelSelector=stored%3Dyes")).names == ["a", "b", "c"]
        assert (await it.client.do("GET", f"{ENDPOINTS_V1}?fieldSelector=spec.hostPort%3Dhost:80")).names == ["b"]
        assert (await it.client.do("DELETE", f"{ENDPOINTS_V2}?{by_port}")).names == ["a", "c"]
        assert (await it.client.do("GET", ENDPOINTS_V1)).names == ["b"]
