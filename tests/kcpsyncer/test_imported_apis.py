from kcpshard.schema.pulled_apis import PulledApi
from kcpsyncer.imported_apis import api_of, import_name, import_of, negotiated_name, negotiated_of, spec_of

COLUMN = {"name": "Size", "type": "string", "jsonPath": ".spec.size"}
API = PulledApi(
    "apps", "v1", "deployments", "deployment", "Deployment", "DeploymentList", "Namespaced", ("deploy",), ("all",),
    ("status",), {"type": "object"}, (COLUMN,),
)  # fmt: skip


def test_the_names_of_the_prototype() -> None:
    assert import_name(API, "us-east1") == "deployments.us-east1.v1.apps"
    assert negotiated_name("", "v1", "pods") == "pods.v1.core"


def test_there_and_back() -> None:
    assert api_of({"spec": spec_of(API)}) == API
    assert api_of(import_of(API, {"metadata": {"name": "east", "uid": "u"}})) == API
    assert api_of(negotiated_of(API, False)) == API


def test_core_is_the_group_without_a_name() -> None:
    spec = spec_of(API._replace(group=""))
    assert "group" not in spec["groupVersion"]
    assert api_of({"spec": {**spec, "groupVersion": {"group": "core", "version": "v1"}}}).group == ""


def test_columns_have_all_that_the_definition_demands() -> None:
    (column,) = spec_of(API)["columnDefinitions"]
    assert set(column) == {"name", "type", "format", "description", "priority", "jsonPath"}


def test_publishing_is_said_only_if_so() -> None:
    assert "publish" not in negotiated_of(API, False)["spec"] and negotiated_of(API, True)["spec"]["publish"]
