"""Generated custom resources, asked of a real kube-apiserver and of our verbs: code, causes and stored object.

    python -m tests.differential.custom_resources KUBECONFIG [SEED [SCHEMAS]]

Each schema is one definition; its objects are created, read, and updated one into the other. Of a refusal the causes'
fields and reasons are compared, of a success the object. Prints where they differ, and the share of equal answers.
"""

import asyncio
import json
import sys
import time
from typing import Any

from kcpshard.controllers.custom_definitions import CustomDefinitions
from kcpshard.definitions.catalog import Catalog
from tests.contracts.api_client import ApiClient, memory_shard
from tests.contracts.custom_types import CRDS
from tests.differential.compare import RealServer, ask_ours
from tests.differential.custom_pairs import Pair, pairs
from tests.differential.exchanges import Exchange

GROUP = "pairs.example.com"


def definition(number: int, schema: Any) -> dict[str, Any]:
    root = {"type": "object", "properties": {"spec": schema}}
    names = {"plural": f"things{number}", "kind": f"Thing{number}"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": root}}
    spec = {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things{number}.{GROUP}"},
        "spec": spec,
    }


def place(number: int, name: str = "") -> str:
    url = f"/apis/{GROUP}/v1/namespaces/default/things{number}"
    return f"{url}/{name}" if name else url


def exchanges(number: int, pair: Pair) -> list[Exchange]:
    found = []
    kind = {"apiVersion": f"{GROUP}/v1", "kind": f"Thing{number}"}
    for at, spec in enumerate(pair.objects):
        name = f"o{at}"
        obj = {**kind, "metadata": {"name": name}, "spec": spec}
        found.append(Exchange(f"create {number}/{at}", "POST", place(number), obj))
        found.append(
            Exchange(f"strict {number}/{at}", "POST", place(number) + "?dryRun=All&fieldValidation=Strict", obj)
        )
        following = pair.objects[(at + 1) % len(pair.objects)]
        patch = [{"op": "add", "path": "/spec", "value": following}]
        found.append(
            Exchange(f"update {number}/{at}", "PATCH", place(number, name), patch, "application/json-patch+json")
        )
        found.append(Exchange(f"read {number}/{at}", "GET", place(number, name)))
    return found


def verdict(answer: tuple[int, Any, list[str]]) -> Any:
    code, document, _ = answer
    if code < 300:
        return code, document.get("spec")
    causes = (document.get("details") or {}).get("causes") or ()
    return code, sorted({(c.get("field"), c.get("reason")) for c in causes})


async def run(kubeconfig: str, seed: int, schemas: int) -> int:
    real, ours = RealServer(kubeconfig), ApiClient(memory_shard())
    assert isinstance(ours.shard.catalog, Catalog)
    equal = differing = 0
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(CustomDefinitions(ours.shard, ours.shard.catalog).run())
        for number, pair in enumerate(pairs(seed, schemas)):
            same, other = await _compare(real, ours, number, pair)
            equal, differing = equal + same, differing + other
        task.cancel()
    print(f"{equal} of {equal + differing} answers equal ({100 * equal / (equal + differing):.2f} %)")
    await ours.shard.store.close()
    return 1 if differing else 0


async def _compare(real: RealServer, ours: ApiClient, number: int, pair: Pair) -> tuple[int, int]:
    made = Exchange("", "POST", CRDS, definition(number, pair.schema))
    there, here = real.ask(made), await ask_ours(ours, made)
    if there[0] != 201 or here[0] != 201:
        _print("definition", pair.schema, there, here)
        return (1, 0) if there[0] == here[0] else (0, 1)
    await _served(real, ours, number)
    equal = differing = 0
    for exchange in exchanges(number, pair):
        there, here = real.ask(exchange), await ask_ours(ours, exchange)
        if verdict(there) == verdict(here):
            equal += 1
        else:
            differing += 1
            _print(exchange.id, {"schema": pair.schema, "sent": exchange.body}, there, here)
    real.ask(Exchange("", "DELETE", f"{CRDS}/things{number}.{GROUP}"))
    return equal, differing


async def _served(real: RealServer, ours: ApiClient, number: int) -> None:
    asked = Exchange("", "GET", place(number))
    for _ in range(200):
        try:
            if real.ask(asked)[0] == 200:
                break
        except ValueError:
            pass  # a group that is not served yet is answered in plain text
        time.sleep(0.02)
    while (await ask_ours(ours, asked))[0] != 200:
        await asyncio.sleep(0)


def _print(what: str, sent: Any, there: Any, here: Any) -> None:
    print(f"--- {what}: {json.dumps(sent)}")
    for name, answer in (("real", there), ("ours", here)):
        text = answer[1].get("message") if answer[0] >= 400 else ""
        print(f"  {name} {verdict(answer)} {text}")


if __name__ == "__main__":
    arguments = sys.argv[2:]
    sys.exit(
        asyncio.run(
            run(sys.argv[1], int(arguments[0]) if arguments else 1, int(arguments[1]) if len(arguments) > 1 else 120)
        )
    )
