"""Admission of a real kube-apiserver and ours, over the same policies, webhooks and writes.

    python -m tests.differential.admission KUBECONFIG [CASE]        compare
    python -m tests.differential.admission KUBECONFIG --record      write tests/golden/admission.json

Code, reason, message, causes, warnings, the object, and how often each webhook was asked are compared. The cluster is a
throw-away one on this machine.
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
from tests.differential import admission_rows, admission_subresources
from tests.differential.admission_rows import Case, registrations
from tests.differential.admission_webhooks import Hooks
from tests.differential.compare import RealServer, ask_ours, masked
from tests.differential.exchanges import Exchange

RECORD = Path(__file__).parent.parent / "golden" / "admission.json"
PREFIX = f"adm{secrets.token_hex(2)}-"  # a namespace takes a while to go: each run has its own
SEEN_AFTER_S = 4.0  # until a real server judges by what was just registered
Answer = tuple[int, Any, list[str]]


def cases() -> list[Case]:
    return [*admission_rows.cases(), *admission_subresources.cases()]


class Run:
    """One server's answers."""

    def __init__(self, hooks: Hooks, chosen: list[Case]) -> None:
        self._hooks, self.chosen = hooks, chosen
        self.found: dict[str, Any] = {}

    def concrete(self, exchange: Exchange, case: str) -> Exchange:
        def filled(value: Any) -> Any:
            if isinstance(value, dict):
                return {filled(k): filled(v) for k, v in value.items()}
            if isinstance(value, list):
                return [filled(v) for v in value]
            if not isinstance(value, str):
                return value
            for name, text in (("case", case), ("hook", self._hooks.url), ("bundle", self._hooks.bundle)):
                value = value.replace(f"{{{name}}}", text)
            return value

        return exchange._replace(url=filled(exchange.url), body=filled(exchange.body))

    def registrations(self) -> list[Exchange]:
        return [self.concrete(e, "x")._replace(id=f"registration: {e.id}") for e in registrations()]

    def setup(self, case: Case) -> list[Exchange]:
        name = PREFIX + case.name
        made = Exchange("", "POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        return [self.concrete(e, name)._replace(id=f"{case.name} setup {n}") for n, e in enumerate([made, *case.setup])]

    def writes(self, case: Case) -> list[Exchange]:
        name = PREFIX + case.name
        return [self.concrete(e, name)._replace(id=f"{case.name} {n}") for n, e in enumerate(case.writes)]

    def note(self, exchange: Exchange, answer: Answer) -> None:
        """Policies have no order on a real server: warnings are compared as a set. Generated names end in `gen-`."""
        code, document, warnings = answer
        text = json.dumps([code, masked(document, code), sorted(warnings)]).replace(PREFIX, "adm-")
        text = text.replace(self._hooks.url, "https://hook").replace(self._hooks.bundle, "BUNDLE")
        text = re.sub(r"(?:127.0.0.1|\[::1\]):[0-9]+", "ADDRESS", text)
        self.found[exchange.id] = json.loads(re.sub(r"gen-[a-z0-9]{5}", "gen-", text))

    def count(self, case: Case) -> None:
        name = PREFIX + case.name + "/"
        calls = {key.removeprefix(name): n for key, n in self._hooks.calls.items() if key.startswith(name)}
        if calls:
            self.found[f"{case.name} calls"] = dict(sorted(calls.items()))


def ask_real(real: RealServer, run: Run) -> None:
    for exchange in run.registrations():
        run.note(exchange, real.ask(exchange))
    for case in run.chosen:
        for exchange in run.setup(case):
            run.note(exchange, real.ask(exchange))
    time.sleep(SEEN_AFTER_S)
    for case in run.chosen:
        for exchange in run.writes(case):
            run.note(exchange, real.ask(exchange))
        run.count(case)


async def ask_us(client: ApiClient, run: Run) -> None:
    for exchange in run.registrations():
        run.note(exchange, await ask_ours(client, exchange))
    for case in run.chosen:
        for exchange in run.setup(case):
            run.note(exchange, await ask_ours(client, exchange))
    for case in run.chosen:
        for exchange in run.writes(case):
            run.note(exchange, await ask_ours(client, exchange))
        run.count(case)


def clean(real: RealServer, run: Run) -> None:
    """What is left would judge the next run's."""
    for case in run.chosen:
        for exchange in run.setup(case):
            if "admissionregistration" in exchange.url:
                url = f"{exchange.url}/{exchange.body['metadata']['name']}"
                real.ask(exchange._replace(method="DELETE", url=url, body=None))


async def ours(chosen: list[Case]) -> dict[str, Any]:
    client = ApiClient(memory_shard(api_set="full", webhooks_at=["127.0.0.0/8", "::1/128"]))
    with Hooks() as hooks:
        run = Run(hooks, chosen)
        await ask_us(client, run)
    await client.shard.callouts.close()
    await client.shard.store.close()
    return run.found


def theirs(kubeconfig: str, chosen: list[Case]) -> dict[str, Any]:
    real = RealServer(kubeconfig)
    with Hooks() as hooks:
        run = Run(hooks, chosen)
        try:
            ask_real(real, run)
        finally:
            clean(real, run)
    return run.found


def main(kubeconfig: str, only: str) -> int:
    chosen = [c for c in cases() if only in c.name or only.startswith("--")]
    recorded = json.loads(RECORD.read_text()) if only == "--again" else theirs(kubeconfig, chosen)
    if only == "--record":
        RECORD.write_text(json.dumps(recorded, indent=0, sort_keys=True) + "\n")
        print(f"{len(recorded)} answers recorded")
    mine = asyncio.run(ours(chosen))
    differing = [name for name, answer in recorded.items() if mine.get(name) != answer]
    differing += [name for name in mine if name not in recorded]
    for name in differing:
        print(f"--- {name}")
        for who, found in (("real", recorded), ("ours", mine)):
            print(f"  {who} {json.dumps(found.get(name))[:9000]}")
    print(f"{len(recorded) - len(differing)} of {len(recorded)} answers equal")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""))
