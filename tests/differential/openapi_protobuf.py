"""A real kube-apiserver's OpenAPI documents, encoded by us and by it, and printed where they differ.

    python -m tests.differential.openapi_protobuf KUBECONFIG

Messages are compared field by field, named values in any order, values of any shape by what their YAML means.
"""

import http.client
import ssl
import sys
from collections.abc import Iterator
from typing import Any

import orjson
import yaml

from kcpfront.protobuf.openapi_documents import _messages, encoded
from tests.kcpfront.protobuf.test_openapi_documents import fields


def tree(message: str, data: bytes) -> Any:
    """As nested lists, named values sorted."""
    if message.endswith(".Any"):
        text = next((value for number, value in fields(data) if number == 2), b"")
        return orjson.dumps(yaml.load(text, yaml.CSafeLoader), option=orjson.OPT_SORT_KEYS)
    known = {field.number: field for field in _messages()[message].fields}
    found = []
    for number, value in fields(data):
        type_ = known[number].type
        found.append((known[number].name, tree(type_, value) if "." in type_ else value))
    return sorted(found, key=lambda pair: pair[0] if not isinstance(pair[1], list) else pair[0] + str(pair[1][:1]))


def documents(kubeconfig: str) -> Iterator[tuple[str, bytes, bytes]]:
    with open(kubeconfig) as file:
        config = yaml.safe_load(file)
    address = config["clusters"][0]["cluster"]["server"].removeprefix("https://")
    # The peer is a throw-away process on loopback.
    connection = http.client.HTTPSConnection(address, context=ssl._create_unverified_context())
    token = config["users"][0]["user"]["token"]

    def get(path: str, accept: str) -> bytes:
        connection.request("GET", path, None, {"Authorization": f"Bearer {token}", "Accept": accept})
        return connection.getresponse().read()

    groups = orjson.loads(get("/openapi/v3", "application/json"))["paths"]
    for path in ("/openapi/v2", *(f"/openapi/v3/{group}" for group in groups)):
        version = "v2" if path == "/openapi/v2" else "v3"
        media_type = f"application/com.github.proto-openapi.spec.{version}@v1.0+protobuf"
        yield path, get(path, "application/json"), get(path, media_type)


def main(kubeconfig: str) -> int:
    differing = 0
    for path, json, protobuf in documents(kubeconfig):
        message = "v2.Document" if path == "/openapi/v2" else "v3.Document"
        same = tree(message, encoded(json)) == tree(message, protobuf)
        differing += not same
        print(path, "equal" if same else "DIFFERENT")
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
