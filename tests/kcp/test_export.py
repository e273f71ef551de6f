from typing import Any

import pytest

from kcp.cluster_access import ApiFailure, ResourceType
from kcp.export import read_cluster


def type_(plural: str, *verbs: str) -> ResourceType:
    return ResourceType("", "v1", plural, "", plural.title(), (), False, frozenset(verbs or ("list", "create")))


class Access:
    """As much of a ClusterAccess as reading asks for."""

    def __init__(self, *types: ResourceType) -> None:
        self._types = types
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.refused: dict[str, int] = {}

    def types(self) -> list[ResourceType]:
        return list(self._types)

    def request(self, method: str, path: str, query: dict[str, str]) -> dict[str, Any]:
        self.asked.append((path, dict(query)))
        if path.endswith("/namespaces"):
            return {"metadata": {"resourceVersion": "7"}}
        code = self.refused.get(path)
        if code and (code != 410 or "resourceVersion" in query):
            raise ApiFailure({"message": "no"}, code)
        more = {} if "continue" in query else {"continue": "next"}
        return {"metadata": more, "items": [{"metadata": {"name": query.get("continue", "first")}}]}


def read(access: Access) -> list[str]:
    header, entries = read_cluster(access, "c")  # type: ignore[arg-type]
    assert (header.cluster, header.resource_version) == ("c", "7")
    return [f"{entry.type}/{entry.object['metadata']['name']}" for entry in entries]


def test_everything_at_one_revision_page_by_page() -> None:
    access = Access(type_("xs"), type_("events"), type_("reviews", "create"), type_("xs"))
    assert read(access) == ["xs/first", "xs/next"]
    assert access.asked[1] == (
        "/api/v1/xs", {"limit": "500", "resourceVersion": "7", "resourceVersionMatch": "Exact"}
    )  # fmt: skip
    assert access.asked[2] == ("/api/v1/xs", {"limit": "500", "continue": "next"})


def test_what_cannot_be_read_then_is_read_now_or_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    access = Access(type_("xs"), type_("ys"))
    access.refused = {"/api/v1/xs": 410, "/api/v1/ys": 503}
    assert read(access) == ["xs/first", "xs/next"]
    assert "ys is left out" in capsys.readouterr().err


def test_who_may_not_read_gets_nothing() -> None:
    access = Access(type_("xs"))
    access.refused = {"/api/v1/xs": 403}
    with pytest.raises(ApiFailure):
        read(access)
