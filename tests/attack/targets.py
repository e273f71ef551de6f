"""What an attacker asks for: every resource of the victim with every verb, and every spelling of the way there. Pure.

`AT` stands for the path of the logical cluster that is attacked, `HOME` for the attacker's own.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

AT, HOME, MARKER = "\x00AT\x00", "\x00HOME\x00", "zq7marker"
JSON, MERGE, APPLY = "application/json", "application/merge-patch+json", "application/apply-patch+yaml"


class Attack(NamedTuple):
    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def aimed(self, at: str, home: str) -> "Attack":
        def put(text: str) -> str:
            return text.replace(AT, at).replace(HOME, home)

        headers = tuple((name, put(value)) for name, value in self.headers)
        return Attack(self.method, put(self.target), headers, put(self.body.decode()).encode())


class Place(NamedTuple):
    """A resource as discovery names it."""

    group_version: str
    resource: str
    kind: str
    namespaced: bool
    verbs: Sequence[str]

    @property
    def collection(self) -> str:
        root = f"/apis/{self.group_version}" if "/" in self.group_version else f"/api/{self.group_version}"
        where = "/namespaces/default" if self.namespaced else ""
        return f"{root}{where}/{self.resource}"


def verbs(place: Place) -> Iterator[Attack]:
    """Each verb on the victim's own objects (all named by MARKER) and on what it does not have."""
    one, every = f"{place.collection}/{MARKER}", place.collection
    obj = (
        f'{{"apiVersion":"{place.group_version}","kind":"{place.kind}","metadata":{{"name":"{MARKER}-new"}}}}'.encode()
    )
    json = (("Content-Type", JSON),)
    if "get" in place.verbs:
        yield Attack("GET", one)
        yield Attack("GET", f"{one}?history=1")
        yield Attack("GET", f"{one}?at=2026-01-01T00:00:00Z")
        yield Attack("HEAD", one)
    if "list" in place.verbs:
        yield Attack("GET", every)
        yield Attack("GET", f"{every}?limit=1&labelSelector=a%3Db")
        yield Attack("GET", every, (("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"),))
    if "watch" in place.verbs:
        yield Attack("GET", f"{every}?watch=1&timeoutSeconds=1")
    if "create" in place.verbs:
        yield Attack("POST", every, json, obj)
    if "update" in place.verbs:
        yield Attack("PUT", one, json, obj.replace(b"-new", b""))
    if "patch" in place.verbs:
        yield Attack("PATCH", one, (("Content-Type", MERGE),), b'{"metadata":{"labels":{"hacked":"yes"}}}')
        yield Attack("PATCH", f"{one}?fieldManager=x&force=1", (("Content-Type", APPLY),), obj.replace(b"-new", b""))
    if "delete" in place.verbs:
        yield Attack("DELETE", one)
    if "deletecollection" in place.verbs:
        yield Attack("DELETE", every)


def prefixed(attack: Attack) -> Attack:
    return attack._replace(target=f"/clusters/{AT}{attack.target}")


def spellings(attack: Attack) -> Iterator[tuple[str, Attack]]:
    """The same request by every other way that might lead to the victim."""
    path, _, query = attack.target.partition("?")
    rest = f"?{query}" if query else ""
    ways: Mapping[str, str] = {
        "plain": f"/clusters/{AT}{path}",
        "nested": f"/clusters/{HOME}/clusters/{AT}{path}",
        "dots": f"/clusters/{HOME}/../{AT}{path}",
        "encoded dots": f"/clusters/{HOME}/%2e%2e/{AT}{path}",
        "encoded slash": f"/clusters/{HOME}%2f..%2f{AT}{path}",
        "encoded slash in a name": f"/clusters/{HOME}/api/v1/namespaces/..%2f..%2f..%2f{AT}{path}",
        "double slash": f"//clusters/{AT}{path}",
        "double slash inside": f"/clusters//{AT}{path}",
        "dot": f"/clusters/./{AT}{path}",
        "slash before the rest": f"/clusters/{AT}/{path}",
        "slash at the end": f"/clusters/{AT}{path}/",
        "case of the prefix": f"/Clusters/{AT}{path}",
        "case of the path": f"/clusters/{AT.upper()}{path}",
        "encoded prefix": f"/%63lusters/{AT}{path}",
        "encoded twice": f"/%2563lusters/{AT}{path}",
        "encoded NUL": f"/clusters/{AT}%00{path}",
        "encoded colon": f"/clusters/{HOME}%3A{AT}{path}",
        "child": f"/clusters/{HOME}:{AT}{path}",
        "semicolon": f"/clusters/{HOME};/clusters/{AT}{path}",
        "backslash": f"/clusters/{HOME}\\..\\{AT}{path}",
        "wide dots": f"/clusters/{HOME}/%ef%bc%8e%ef%bc%8e/{AT}{path}",
        "query": f"/clusters/{HOME}{path}?cluster={AT}&clusters={AT}",
        "absolute": f"https://localhost/clusters/{AT}{path}",
        "no prefix": f"/{AT}{path}",
        "services": f"/services/workspaces/{AT}{path}",
    }
    for name, way in ways.items():
        yield name, attack._replace(target=way + (rest.replace("?", "&") if "?" in way else rest))
    # Named by a header: alone, against the path, twice, in another case.
    header = ("X-Kubernetes-Cluster", AT)
    plain = attack.target
    for name, target, headers in (
        ("header", plain, (header,)),
        ("header against path", f"/clusters/{HOME}{plain}", (header,)),
        ("header twice", plain, (("X-Kubernetes-Cluster", HOME), header)),
        ("header in lower case", plain, (("x-kubernetes-cluster", AT),)),
        ("header of proxies", f"/clusters/{HOME}{plain}", (("X-Forwarded-Prefix", f"/clusters/{AT}"),)),
        ("header of rewriters", f"/clusters/{HOME}{plain}", (("X-Original-URL", f"/clusters/{AT}{plain}"),)),
    ):
        yield name, attack._replace(target=target, headers=(*attack.headers, *headers))


def documents() -> Iterator[Attack]:
    for path in ("/api", "/apis", "/api/v1", "/openapi/v2", "/openapi/v3", "/", "/.well-known/openid-configuration"):
        yield Attack("GET", path)


def wildcards(attack: Attack) -> Iterator[Attack]:
    for name in ("*", "%2a", "**", "root:*"):
        yield attack._replace(target=f"/clusters/{name}{attack.target}")
    yield attack._replace(headers=(*attack.headers, ("X-Kubernetes-Cluster", "*")))
