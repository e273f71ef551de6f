"""Which non-resource paths are documents of a logical cluster, and the list of paths at `/`. Pure."""

_DOCUMENTS = frozenset({"/api", "/apis", "/openapi/v2", "/openapi/v3"})
_FIXED = ("/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version")


def is_document(path: str) -> bool:
    """/api, /api/<version>, /apis, /apis/<group>, /apis/<group>/<version>, /openapi/…"""
    if path in _DOCUMENTS or path.startswith("/openapi/v3/"):
        return True
    parts = path.split("/")
    return (parts[1] == "api" and len(parts) == 3) or (parts[1] == "apis" and len(parts) in (3, 4))


def root_paths(group_versions: list[str], checks: list[str]) -> list[str]:
    """What `/` lists: documents by group ("apps/v1", "v1"), health checks, the rest; sorted as kube-apiserver does."""
    paths = {"/api", "/apis", "/apis/", *_FIXED}
    for group_version in group_versions:
        group, _, version = group_version.rpartition("/")
        paths |= {f"/apis/{group}", f"/apis/{group}/{version}"} if group else {f"/api/{version}"}
    for endpoint in ("healthz", "livez", "readyz"):
        paths |= {f"/{endpoint}/{check}" for check in checks}
    return sorted(paths)
