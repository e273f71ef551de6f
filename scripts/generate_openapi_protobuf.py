#!/usr/bin/env python3
"""Write kcpfront/protobuf/data/openapi.jsonl: the fields of OpenAPI documents in protobuf, versions 2 and 3.

Usage: scripts/generate_openapi_protobuf.py DIRECTORY, that of the Go module github.com/google/gnostic-models, whose
messages kube-apiserver answers with. One line per message: {"message": name, "fields": [[JSON name, number, type,
is repeated], …]}; a type is string, bool, double, int64 or the name of a message. "oneof": one of the fields is set.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

OUTPUT = Path(__file__).parents[1] / "kcpfront/protobuf/data/openapi.jsonl"
_SCALARS = {
    FieldDescriptorProto.TYPE_STRING: "string",
    FieldDescriptorProto.TYPE_BOOL: "bool",
    FieldDescriptorProto.TYPE_DOUBLE: "double",
    FieldDescriptorProto.TYPE_INT64: "int64",
}


def main(directory: str) -> None:
    lines = []
    for version in (2, 3):
        messages = _messages(f"{directory}/openapiv{version}", f"OpenAPIv{version}.proto")
        lines += [json.dumps(_facts(f"v{version}", message), separators=(",", ":")) for message in messages]
    OUTPUT.write_text("\n".join(lines) + "\n")


def _messages(directory: str, name: str) -> list[DescriptorProto]:
    with tempfile.NamedTemporaryFile() as made:
        well_known = str(Path(protoc.__file__).parent / "_proto")
        protoc.main(
            ["", f"-I{directory}", f"-I{well_known}", f"--descriptor_set_out={made.name}", f"{directory}/{name}"]
        )
        return list(FileDescriptorSet.FromString(Path(made.name).read_bytes()).file[0].message_type)


def _facts(prefix: str, message: DescriptorProto) -> dict[str, Any]:
    found: dict[str, Any] = {"message": f"{prefix}.{message.name}"}
    if message.oneof_decl:
        found["oneof"] = True
    found["fields"] = [
        [
            _json_name(field.name),
            field.number,
            _SCALARS.get(field.type) or f"{prefix}.{field.type_name.rpartition('.')[2]}",
            field.label == FieldDescriptorProto.LABEL_REPEATED,
        ]
        for field in message.field
    ]
    return found


def _json_name(name: str) -> str:
    first, *rest = name.lstrip("_").split("_")
    camel = first + "".join(word.capitalize() for word in rest)
    return "$ref" if name == "_ref" else camel


if __name__ == "__main__":
    main(sys.argv[1])
