"""Admission of a real kube-apiserver and ours, over the same policies and writes.

    python -m tests.differential.admission KUBECONFIG [CASE]        compare
    python -m tests.differential.admission KUBECONFIG --record      write tests/golden/admission.json

Code, reason, message, causes, warnings and the object are compared. The cluster is a throw-away one.
"""

import asyncio
import json
import re
import secrets
import sys
import time
from pathlib import Path
from typing import Any

from tests.contracts.api_client import ApiClient, memory_shard
from tests.differential.admission_rows import Case, cases, registrations
from tests.differential.compare import RealServer, ask_ours, masked
from tests.differential.exchanges import Exchange

RECORD = Path(__file__).parent.parent / "golden" / "admission.json"
PREFIX = f"adm{secrets.token_hex(2)}-"  # a namespace takes a while to go: each run has its own
SEEN_AFTER_S = 4.0  # until a real server judges by what was just registered
Answer = tuple[int, Any, list[str]]


def concrete(exchange: Exchange, case: str) -> Exchange:
    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {filled(k): filled(v) for k, v in value.items()}
        if isinstance(value, list):
            return [filled(v) for v in value]
        return value.replace("{case}", case) if isinstance(value, str) else value

    return exchange._replace(url=filled(exchange.url), body=filled(exchange.body))


def setup(case: Case) -> list[Exchange]:
    name = PREFIX + case.name
    made = Exchange("", "POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    return [concrete(e, name)._replace(id=f"{case.name} setup {n}") for n, e in enumerate([made, *case.setup])]


def writes(case: Case) -> list[Exchange]:
    name = PREFIX + case.name
    return [concrete(e, name)._replace(id=f"{case.name} {n}") for n, e in enumerate(case.writes)]


def judged(answer: Answer) -> Any:
    """Policies have no order on a real server: warnings are compared as a set. Generated names end in `gen-`."""
    code, document, warnings = answer
    text = json.dumps([code, masked(document, code), sorted(warnings)]).replace(PREFIX, "adm-")
    return json.loads(re.sub(r"gen-[a-z0-9]{5}", "gen-", text))


def ask_real(real: RealServer, chosen: list[Case]) -> dict[str, Any]:
    found = {f"registration: {e.id}": judged(real.ask(concrete(e, "x"))) for e in registrations()}
    for case in chosen:
        for exchange in setup(case):
            found[exchange.id] = judged(real.ask(exchange))
    time.sleep(SEEN_AFTER_S)
    for case in chosen:
        for exchange in writes(case):
            found[exchange.id] = judged(real.ask(exchange))
    return found


async def ask_us(client: ApiClient, chosen: list[Case]) -> dict[str, Any]:
    found = {
        f"registration: {e.id}": judged(await ask_ours(client, e)) for e in (concrete(e, "x") for e in registrations())
    }
    for case in chosen:
        for exchange in setup(case):
            found[exchange.id] = judged(await ask_ours(client, exchange))
    for case in chosen:
        for exchange in writes(case):
            found[exchange.id] = judged(await ask_ours(client, exchange))
    return found


def clean(real: RealServer, chosen: list[Case]) -> None:
    """What is left would judge the next run's."""
    for case in chosen:
        for exchange in setup(case):
            if "admissionregistration" in exchange.url:
                url = f"{exchange.url}/{exchange.body['metadata']['name']}"
                real.ask(exchange._replace(method="DELETE", url=url, body=None))


async def ours(chosen: list[Case]) -> dict[str, Any]:
    client = ApiClient(memory_shard(api_set="full"))
    found = await ask_us(client, chosen)
    await client.shard.store.close()
    return found


def main(kubeconfig: str, only: str) -> int:
    chosen = [c for c in cases() if only in c.name or only.startswith("--")]
    if only == "--again":
        theirs = json.loads(RECORD.read_text())
    else:
        real = RealServer(kubeconfig)
        try:
            theirs = ask_real(real, chosen)
        finally:
            clean(real, chosen)
    if only == "--record":
        RECORD.write_text(json.dumps(theirs, indent=0, sort_keys=True) + "\n")
        print(f"{len(theirs)} answers recorded")
    mine = asyncio.run(ours(chosen))
    differing = [name for name, answer in theirs.items() if mine[name] != answer]
    for name in differing:
        print(f"--- {name}\n  real {json.dumps(theirs[name])[:1500]}\n  ours {json.dumps(mine[name])[:1500]}")
    print(f"{len(theirs) - len(differing)} of {len(theirs)} answers equal")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""))
