"""Ask a real kube-apiserver and a running kcp the same over HTTP, and print where the answers differ.

    python -m tests.differential.compare_http REAL-KUBECONFIG OUR-KUBECONFIG [ID-PART]

Status code, media type and body are compared; uids, times, versions and managedFields are masked, and of documents that
describe a server (discovery, OpenAPI, metrics) only code and type. Exit code 1 if anything differs that is not known.
"""

import http.client
import json
import ssl
import sys
from contextlib import suppress
from typing import Any, NamedTuple

import yaml

from tests.differential.compare import masked
from tests.differential.http_requests import HERE, HttpRequest, requests

# What differs and stays so, and why.
KNOWN = {
    "BREW on /healthz": "an unknown method is refused by the parser before its path is known",
    "POST on openapi v3": "the same document; there it is called text/plain for this method",
    f"path {HERE}/": "the namespace has other objects",
    "path /api/v1/namespaces/": "other namespaces are there from birth",
    "get as application/json;as=Table;v=v1;g=meta.k8s.io": "columns are described in other words",
    "list as application/json;as=Table;v=v1;g=meta.k8s.io": "columns are described in other words",
    "create: too deep": "here 100 levels are the limit, there 10 000; code and reason are equal",
    "update with a nonsense version": "a 500 there for what is the client's mistake; a 400 here, with the same words",
    "merge: a kind": "there the object is read as the kind that the patch names, and its first fault told",
}
_DOCUMENTS = frozenset({"APIResourceList", "APIGroupList", "APIVersions", "APIGroup", "APIGroupDiscoveryList"})


class Heard(NamedTuple):
    code: int
    media: str
    body: Any


class Server:
    """A connection per request: some of them end it."""

    def __init__(self, kubeconfig: str) -> None:
        with open(kubeconfig) as file:
            config = yaml.safe_load(file)
        server = config["clusters"][0]["cluster"]["server"]
        self._address, _, prefix = server.removeprefix("https://").partition("/")
        self._prefix = f"/{prefix}" if prefix else ""
        self._token = config["users"][0]["user"]["token"]

    def ask(self, request: HttpRequest) -> Heard:
        # Both are throw-away processes on loopback.
        connection = http.client.HTTPSConnection(self._address, context=ssl._create_unverified_context(), timeout=20)
        try:
            connection.putrequest(request.method, self._prefix + request.path, skip_accept_encoding=True)
            headers = {"Authorization": f"Bearer {self._token}", "Accept": request.accept}
            headers |= {"Content-Type": request.content_type, "Content-Length": str(len(request.body) or "")}
            for name, value in headers.items():
                if value:
                    connection.putheader(name, value)
            connection.endheaders()
            with suppress(OSError):  # refused before the end of the body
                connection.send(request.body)
            response = connection.getresponse()
            raw = response.read()
            return Heard(response.status, response.headers.get("Content-Type") or "", _comparable(raw, response.status))
        except (OSError, http.client.HTTPException) as error:
            return Heard(0, "", type(error).__name__)
        finally:
            connection.close()


def _comparable(raw: bytes, code: int) -> Any:
    try:
        document = json.loads(raw)
    except ValueError:
        return raw.decode("utf-8", "replace")
    if isinstance(document, dict) and document.get("kind") in _DOCUMENTS:
        return document["kind"]
    if not isinstance(document, dict) or "kind" not in document:
        return "a document" if code < 300 else document
    return masked(document, code)


def main(real: str, ours: str, only: str) -> int:
    theirs, mine = Server(real), Server(ours)
    differing = []
    table = requests()
    for request in table:
        wanted, found = theirs.ask(request), mine.ask(request)
        if wanted == found:
            continue
        differing.append(request.id)
        if only in request.id:
            print(f"--- {request.id}: {request.method} {request.path[:120]} ({KNOWN.get(request.id, 'NOT KNOWN')})")
            for name, heard in (("real", wanted), ("ours", found)):
                text = heard.body if isinstance(heard.body, str) else json.dumps(heard.body, sort_keys=True)
                print(f"  {name} {heard.code} [{heard.media}] {text[:500]}")
    print(f"{len(table) - len(differing)} of {len(table)} answers equal")
    unknown = [name for name in differing if name not in KNOWN]
    print(f"{len(unknown)} differ and are not known to: {unknown}")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else ""))
