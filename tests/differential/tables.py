"""Tables of requests with a real kube-apiserver's answers in tests/golden: record them, compare ours with them.

    python -m tests.differential.tables record NAME… --kubeconfig FILE     (static token, controllers off)
    python -m tests.differential.tables compare NAME…                      ours beside the record, differences shown

A table runs in a namespace of its own; rows of one table may need what earlier ones left.
"""

import argparse
import asyncio
import json
import random
import re
import secrets
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.contracts.api_client import ApiClient, memory_shard
from tests.differential.autoscalers import autoscalers
from tests.differential.compare import RealServer, as_it_should_be, ask_ours, concrete, masked
from tests.differential.exchanges import Exchange
from tests.differential.services import services
from tests.differential.subresources import subresources

GOLDEN = Path(__file__).parents[1] / "golden"
Answer = tuple[int, Any, list[str]]  # code, document, warnings


class Table(NamedTuple):
    """`managers`: who owns what is compared too, times aside. `chosen`: what the server has chosen is masked."""

    rows: Callable[[], list[Exchange]]
    managers: bool = False
    chosen: bool = False


TABLES = {
    "autoscalers": Table(autoscalers, managers=True),
    "services": Table(services, chosen=True),
    "subresources": Table(subresources, managers=True),
}


def path_of(name: str) -> Path:
    return GOLDEN / f"{name}.json"


def setup() -> list[Exchange]:
    account = {"metadata": {"name": "default"}}
    return [
        Exchange("", "POST", "/api/v1/namespaces", {"metadata": {"name": "{ns}"}}),
        Exchange("", "POST", "/api/v1/namespaces/{ns}/serviceaccounts", account),
    ]


# Addresses that no row names are those of the allocator.
_CHOSEN = re.compile(r"10\.96\.(?!(?:0\.1|1\.[123]|77\.7|88\.(?:1|2|9|5[0-3])|255\.255)\b)[0-9]+\.[0-9]+")
_CHOSEN_PORT = re.compile(r'"(nodePort|healthCheckNodePort)": 3(?!123[0-9]|124[01]|1333|144[45])[0-9]{4}')


def judged(answer: Answer, namespace: str, managers: bool, chosen: bool = False) -> list[Any]:
    """What is compared. Of a refusal the causes' types and fields, not the values, which are Go structs."""
    code, document, warnings = answer
    if document is None or code < 400:
        found = [code, masked(document, code), warnings]
        if managers and isinstance(document, dict) and "managedFields" in (document.get("metadata") or {}):
            entries = [{k: v for k, v in e.items() if k != "time"} for e in document["metadata"]["managedFields"]]
            # Their order depends on whether two writes fell into one second.
            found.append(sorted(entries, key=lambda e: json.dumps(e, sort_keys=True)))
    else:
        causes = {(c.get("reason"), c.get("field")) for c in (document.get("details") or {}).get("causes") or ()}
        found = [code, document.get("reason"), sorted(map(list, causes), key=str), warnings]
    text = json.dumps(found).replace(namespace, "{ns}")
    if chosen:
        text = _CHOSEN_PORT.sub(r'"\1": 0', _CHOSEN.sub("CHOSEN", text))
    return json.loads(text)  # type: ignore[no-any-return]


def record(name: str, kubeconfig: str) -> None:
    table, server = TABLES[name], RealServer(kubeconfig)
    namespace, saved, lines = "t-" + secrets.token_hex(3), dict[str, Any](), []
    for row in [*setup(), *table.rows()]:
        answer = as_it_should_be(*server.ask(concrete(row, namespace, saved)))
        if row.save:
            saved[row.save] = answer[1]
        if row.id:
            found = judged(answer, namespace, table.managers, table.chosen)
            lines.append(f"{json.dumps(row.id)}:{json.dumps(found, sort_keys=True)}")
    path_of(name).write_text("{" + ",\n".join(lines) + "}\n")


async def ours(name: str) -> dict[str, Any]:
    """Our answers, judged, by the rows' ids. What is chosen follows from uids, which are the same each time."""
    seeded, real = random.Random(1), uuid.uuid4
    uuid.uuid4 = lambda: uuid.UUID(int=seeded.getrandbits(128), version=4)
    try:
        return await _ours(name)
    finally:
        uuid.uuid4 = real


async def _ours(name: str) -> dict[str, Any]:
    client, table = ApiClient(memory_shard(api_set="full")), TABLES[name]
    namespace, saved, found = "t-abcdef", dict[str, Any](), dict[str, Any]()
    for row in [*setup(), *table.rows()]:
        answer = await ask_ours(client, concrete(row, namespace, saved))
        if row.save:
            saved[row.save] = answer[1]
        if row.id:
            found[row.id] = judged(answer, namespace, table.managers, table.chosen)
    await client.shard.store.close()
    return found


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path_of(name).read_text())
    return found


def differences(wanted: Any, found: Any, path: str = "") -> Iterator[str]:
    """One line per place where the two documents are not equal."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in sorted(wanted.keys() | found.keys()):
            yield from differences(wanted.get(key), found.get(key), f"{path}.{key}")
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for place, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from differences(one, other, f"{path}[{place}]")
    elif wanted != found:
        yield f"{path}: real {json.dumps(wanted)} ours {json.dumps(found)}"


def compare(name: str) -> None:
    wanted, found = recorded(name), asyncio.run(ours(name))
    differing = [id_ for id_ in found if found[id_] != wanted.get(id_)]
    for id_ in differing:
        print(f"--- {id_}")
        for line in differences(wanted.get(id_), found[id_]):
            print(f"  {line[:400]}")
    print(f"{name}: {len(found) - len(differing)} of {len(found)} answers equal")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=("record", "compare"))
    parser.add_argument("names", nargs="*", default=list(TABLES))
    parser.add_argument("--kubeconfig", default="")
    arguments = parser.parse_args()
    for name in arguments.names:
        if arguments.action == "record":
            record(name, arguments.kubeconfig)
        else:
            compare(name)


if __name__ == "__main__":
    main()
