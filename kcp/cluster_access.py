"""Speaks to a logical cluster as its user, by a kubeconfig: what `kcp history`, `get` and `restore` stand on.

The kubernetes client reads the kubeconfig (contexts, tokens, certificates, exec plug-ins: it is the user's own file);
requests are plain JSON over urllib3, because what these commands ask for has no typed client.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import click
import urllib3

from kcp.output import Refused

Object = dict[str, Any]
TIMEOUT_S = 60.0
PAGE = 500
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_CLUSTER = re.compile(r"/clusters/[^/]+/?$")


class ApiFailure(Refused):
    """The server's Status, as a sentence."""

    def __init__(self, status: Mapping[str, Any], code: int) -> None:
        super().__init__(f"Error from server ({status.get('reason') or code}): {status.get('message') or code}")
        self.status, self.code = status, code


class ResourceType(NamedTuple):
    group: str
    version: str
    plural: str
    singular: str
    kind: str
    short_names: tuple[str, ...]
    namespaced: bool
    verbs: frozenset[str]
    has_status: bool = False  # as a subresource

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def full_name(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "") -> str:
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        place = f"/namespaces/{quote(namespace)}" if self.namespaced and namespace else ""
        return f"{base}{place}/{self.plural}" + (f"/{quote(name, safe='')}" if name else "")

    def is_called(self, text: str) -> bool:
        """Whether kubectl's users mean this type: plural, singular, kind or short name, with or without the group."""
        name, _, group = text.lower().partition(".")
        known = {self.plural, self.singular, self.kind.lower(), *self.short_names}
        return name in known and (not group or self.group == group or self.group.startswith(group + "."))


class ClusterAccess:
    """Requests to one logical cluster. `server` ends without a slash; `namespace` is the context's."""

    def __init__(
        self,
        server: str,
        namespace: str,
        headers: Mapping[str, str],
        pool: urllib3.PoolManager,
        authority_file: str = "",
    ) -> None:
        self.server, self.namespace, self.authority_file = server, namespace, authority_file
        self._headers, self._pool = dict(headers), pool
        self._types: list[ResourceType] | None = None

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        accept: str = "",
        content_type: str = "application/json",
    ) -> Object:
        """The answer's document. Raises ApiFailure for a Status, Refused if the server cannot be reached."""
        url = self.server + path + (f"?{urlencode(query)}" if query else "")
        headers = {**self._headers, "Accept": accept or "application/json", "Content-Type": content_type}
        data = json.dumps(body).encode() if body is not None else None
        try:
            answer = self._pool.request(method, url, body=data, headers=headers, timeout=TIMEOUT_S, retries=False)
        except urllib3.exceptions.HTTPError as error:
            raise Refused(f"cannot reach {self.server}: {error}") from error
        try:
            document: Object = json.loads(answer.data or b"{}")
        except ValueError:
            document = {"message": answer.data[:200].decode(errors="replace")}
        if answer.status >= 400:
            raise ApiFailure(document, answer.status)
        return document

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Object | None:
        """None: there is no such object."""
        try:
            return self.request("GET", path, query)
        except ApiFailure as failure:
            if failure.code == 404:
                return None
            raise

    def items(self, path: str, query: Mapping[str, str] | None = None) -> Iterator[Object]:
        """Of a list, page by page."""
        asked = {**(query or {}), "limit": str(PAGE)}
        while True:
            found = self.request("GET", path, asked)
            yield from found.get("items") or ()
            token = (found.get("metadata") or {}).get("continue")
            if not token:
                return
            asked["continue"] = token

    def types(self) -> list[ResourceType]:
        """What is served, each type in its preferred version."""
        if self._types is None:
            self._types = [found for root in ("/api", "/apis") for found in self._discovered(root)]
        return self._types

    def _discovered(self, root: str) -> Iterator[ResourceType]:
        document = self.request("GET", root, accept=_DISCOVERY)
        if document.get("kind") == "APIGroupDiscoveryList":
            yield from discovered(document)
            return
        # A server older than 1.26.
        if root == "/api":
            preferred = [("", f"/api/{version}") for version in document.get("versions") or ()]
        else:
            groups = document.get("groups") or ()
            preferred = [(g["name"], f"/apis/{g['preferredVersion']['groupVersion']}") for g in groups]
        for group, path in preferred:
            yield from discovered_in(group, path.rpartition("/")[2], self.request("GET", path))

    def forget_types(self) -> None:
        """They may have changed: ask again."""
        self._types = None

    def find_type(self, text: str) -> ResourceType:
        for found in self.types():
            if found.is_called(text):
                return found
        raise Refused(f'the server doesn\'t have a resource type "{text}"')


def discovered(document: Object) -> Iterator[ResourceType]:
    """The types of an aggregated discovery document, each in the first version that has it."""
    for group in document.get("items") or ():
        name = (group.get("metadata") or {}).get("name") or ""
        seen = set()
        for version in group.get("versions") or ():
            for each in version.get("resources") or ():
                plural = each["resource"]
                if plural not in seen:
                    seen.add(plural)
                    yield ResourceType(
                        name,
                        version["version"],
                        plural,
                        each.get("singularResource") or "",
                        (each.get("responseKind") or {}).get("kind") or "",
                        tuple(each.get("shortNames") or ()),
                        each.get("scope") == "Namespaced",
                        frozenset(each.get("verbs") or ()),
                        any(sub.get("subresource") == "status" for sub in each.get("subresources") or ()),
                    )


def discovered_in(group: str, version: str, document: Object) -> Iterator[ResourceType]:
    """The types of one group version, as every server tells them."""
    resources = document.get("resources") or ()
    names = {each["name"] for each in resources}
    for each in resources:
        if "/" not in each["name"]:
            yield ResourceType(
                each.get("group") or group,
                each.get("version") or version,
                each["name"],
                each.get("singularName") or "",
                each["kind"],
                tuple(each.get("shortNames") or ()),
                bool(each.get("namespaced")),
                frozenset(each.get("verbs") or ()),
                f"{each['name']}/status" in names,
            )


def connect(kubeconfig: str | None, context: str | None, cluster: str | None) -> ClusterAccess:
    """As kubectl finds it: --kubeconfig, $KUBECONFIG, ~/.kube/config. `cluster` names another logical cluster of it."""
    from kubernetes import config  # costs a second, which `kcp start` need not pay
    from kubernetes.client import Configuration

    wanted = Configuration()
    untyped: Any = config
    try:
        # The library itself reads $KUBECONFIG when it is imported, and never again.
        files = kubeconfig or os.environ.get("KUBECONFIG") or None
        untyped.load_kube_config(files, context, wanted)
        contexts, current = untyped.list_kube_config_contexts(files)
    except config.ConfigException as error:
        raise Refused(f"cannot use the kubeconfig: {error}") from error
    if context:
        current = next(each for each in contexts if each["name"] == context)
    server = str(wanted.host).rstrip("/")
    if cluster:
        server = f"{_CLUSTER.sub('', server + '/').rstrip('/')}/clusters/{quote(cluster, safe=':')}"
    headers = {"User-Agent": "kcp"}
    settings: Any = wanted.auth_settings()
    for setting in settings.values():
        if setting["value"] is not None:
            headers[setting["key"].capitalize()] = setting["value"]
    pool = urllib3.PoolManager(
        ca_certs=wanted.ssl_ca_cert,
        cert_file=wanted.cert_file,
        key_file=wanted.key_file,
        cert_reqs="CERT_REQUIRED" if wanted.verify_ssl else "CERT_NONE",
    )
    namespace = (current.get("context") or {}).get("namespace") or "default"
    return ClusterAccess(server, namespace, headers, pool, wanted.ssl_ca_cert or "")


kubeconfig_option = click.option("--kubeconfig", metavar="FILE", help="Instead of $KUBECONFIG or ~/.kube/config.")
context_option = click.option("--context", metavar="NAME", help="Instead of the kubeconfig's current context.")
cluster_option = click.option("--cluster", metavar="PATH", help="Another logical cluster of the same server.")
namespace_option = click.option("-n", "--namespace", metavar="NAME", help="Instead of the context's namespace.")


def split_name(text: str) -> tuple[str, str]:
    """TYPE/NAME. Raises Refused."""
    kind, slash, name = text.partition("/")
    if not (kind and slash and name):
        raise Refused(f'"{text}" does not name an object: write TYPE/NAME, such as deploy/web')
    return kind, name
