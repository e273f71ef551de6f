"""Every built-in kind, our protobuf against that of the published Go types, both ways. Run by `make protobuf-clients`.

Made are objects with values in nearly every field. The Go program decodes our bytes and our JSON into its types and
compares; what it then writes as protobuf we decode, and compare with what it writes as JSON.
"""

import base64
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from kcpfront.protobuf.decoding import decode_object
from kcpfront.protobuf.objects import encode_object
from tests.kcpfront.protobuf.filled import filled, kinds

SAMPLES = 5


def main() -> int:
    lines = [orjson.dumps(sample) for sample in samples()]
    ran = subprocess.run(
        ["go", "run", "."], cwd=Path(__file__).parent, input=b"\n".join(lines), stdout=subprocess.PIPE, check=True
    )
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    faults = [(answer["kind"], fault) for answer in answers if (fault := fault_of(answer))]
    for kind, fault in faults[:20]:
        print(f"{kind}: {fault}\n")
    print(f"{len(answers)} objects of {len({answer['kind'] for answer in answers})} kinds, {len(faults)} differ")
    return 1 if faults or len(answers) != len(lines) else 0


def samples() -> Iterator[dict[str, Any]]:
    for api_version, kind, message in kinds():
        if kind == "WatchEvent":
            continue  # no object: it travels without envelope, and the JSON type has neither kind nor apiVersion
        for seed in range(SAMPLES):
            obj = filled(message, random.Random(f"{api_version} {kind} {seed}"))
            # First, so that an object with values of its own for them would show.
            obj = {"apiVersion": api_version, "kind": kind, **obj}
            data = base64.b64encode(encode_object(obj)).decode()
            yield {"kind": f"{api_version} {kind}", "json": obj, "protobuf": data}


def fault_of(answer: dict[str, Any]) -> str:
    if answer["fault"]:
        return str(answer["fault"])
    ours = without_nulls(decode_object(base64.b64decode(answer["protobuf"])))
    theirs = without_nulls(answer["json"])
    return "" if ours == theirs else f"we read Go's protobuf as\n{json.dumps(ours)}\nit means\n{json.dumps(theirs)}"


def without_nulls(value: Any) -> Any:
    """Go shows a missing list that is not optional as null; that it is missing says the same."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main())
