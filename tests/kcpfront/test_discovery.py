import pytest

from kcpfront.discovery import is_document, root_paths


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/v1",
        "/apis",
        "/apis/apps",
        "/apis/apps/v1",
        "/openapi/v2",
        "/openapi/v3",
        "/openapi/v3/apis/apps/v1",
    ],
)
def test_documents(path: str) -> None:
    assert is_document(path)


@pytest.mark.parametrize("path", ["/", "/healthz", "/apisx", "/openapi", "/openapi/v1", "/api/v1/x/y", "/metrics"])
def test_other_paths(path: str) -> None:
    assert not is_document(path)


def test_the_root_lists_every_group_version() -> None:
    paths = root_paths(["v1", "apps/v1", "apps/v1beta1"], ["ping"])
    assert paths == sorted(paths)
    for path in ("/api/v1", "/apis/apps", "/apis/apps/v1", "/apis/apps/v1beta1", "/livez/ping", "/version"):
        assert path in paths
