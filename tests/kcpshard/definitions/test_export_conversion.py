from typing import Any

from kcpshard.definitions.catalog import Catalog
from kcpshard.definitions.export_conversion import NEW, OLD, converted

NEW_EXPORT: dict[str, Any] = {
    "apiVersion": NEW,
    "kind": "APIExport",
    "metadata": {"name": "e"},
    "spec": {
        "resources": [{"name": "widgets", "group": "example.com", "schema": "v1.widgets.example.com",
                       "storage": {"crd": {}}}],
        "permissionClaims": [{"group": "", "resource": "configmaps", "verbs": ["*"]}],
    },
}  # fmt: skip
OLD_EXPORT: dict[str, Any] = {
    "apiVersion": OLD,
    "kind": "APIExport",
    "metadata": {"name": "e"},
    "spec": {
        "latestResourceSchemas": ["v1.widgets.example.com"],
        "permissionClaims": [{"group": "", "resource": "configmaps", "all": True}],
    },
}


def test_an_export_both_ways() -> None:
    assert converted(NEW_EXPORT, OLD)["spec"] == OLD_EXPORT["spec"]
    assert converted(OLD_EXPORT, NEW)["spec"] == NEW_EXPORT["spec"]
    assert converted(NEW_EXPORT, NEW) is NEW_EXPORT


def test_the_core_group() -> None:
    found = converted({**OLD_EXPORT, "spec": {"latestResourceSchemas": ["v1.things.core"]}}, NEW)
    assert [(each["name"], each["group"]) for each in found["spec"]["resources"]] == [("things", "")]


def test_a_binding_accepts_everything_in_the_older_words() -> None:
    claim = {"group": "", "resource": "configmaps", "all": True, "state": "Accepted"}
    old = {"apiVersion": OLD, "kind": "APIBinding", "metadata": {}, "spec": {"permissionClaims": [claim]}}
    (new,) = converted(old, NEW)["spec"]["permissionClaims"]
    assert new == {
        "group": "", "resource": "configmaps", "state": "Accepted", "verbs": ["*"], "selector": {"matchAll": True}
    }  # fmt: skip
    back = converted({**old, "apiVersion": NEW, "spec": {"permissionClaims": [new]}}, OLD)
    assert back["spec"]["permissionClaims"] == [claim]


def test_the_catalogue_converts_by_it() -> None:
    catalog = Catalog()
    stored = catalog.find(None, "apis.kcp.io", "v1alpha2", "apiexports")
    older = catalog.find(None, "apis.kcp.io", "v1alpha1", "apiexports")
    assert stored is not None and older is not None and older.storage_resource is stored
    assert catalog.convert(OLD_EXPORT, stored)["spec"]["resources"][0]["schema"] == "v1.widgets.example.com"
    assert catalog.convert(NEW_EXPORT, older)["spec"]["latestResourceSchemas"] == ["v1.widgets.example.com"]
