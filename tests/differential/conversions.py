"""Ask a real kube-apiserver and our verbs to convert by the same webhook, and print where the answers differ.

    python -m tests.differential.conversions KUBECONFIG      (controllers off; it must reach 127.0.0.1)

One webhook answers both; how it misbehaves goes by the object's name. Compared are code, reason and message; the calls
that each makes are counted and shown, not compared: kube-apiserver's caches convert on their own account.
"""

import asyncio
import re
import sys
from collections.abc import Iterator
from typing import Any

from tests.contracts.converting import BREAKING, CRDS, answer, converting, definition, ending
from tests.contracts.webhook_server import Asked, Reply, json_reply, webhook_server
from tests.differential.compare import RealServer, ask_ours
from tests.differential.exchanges import Exchange

_JSON = "application/json"
_VARYING = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<=localhost:)[0-9]+")
NAMES = {name.replace(" ", "-"): answering for name, (answering, _) in BREAKING.items()}


def behaving(review: dict[str, Any]) -> Any:
    name = review["request"]["objects"][0]["metadata"]["name"]
    return NAMES.get(name, answer)(review)


def steps(base: str) -> Iterator[Exchange]:
    first, second = f"{base}/v1/namespaces/default/endings", f"{base}/v2/namespaces/default/endings"
    for name in ("good", *NAMES):
        yield Exchange("", "POST", first, ending("v1", name, labels={"a": "b"}), _JSON)
        yield Exchange("", "GET", f"{second}/{name}", None, _JSON)
        yield Exchange("", "PATCH", f"{second}/{name}", {"spec": {"port": "9"}}, "application/merge-patch+json")
        yield Exchange("", "DELETE", f"{first}/{name}", None, _JSON)
        if name == "another-version":
            continue  # kube-apiserver stores it, then finds that it cannot show it; we do not store it
        yield Exchange("", "POST", second, ending("v2", name, labels={"a": "b"}), _JSON)
        yield Exchange("", "DELETE", f"{first}/{name}", None, _JSON)


def shown(code: int, document: Any) -> tuple[Any, ...]:
    status = document if document.get("kind") == "Status" else {}
    message = _VARYING.sub("…", status.get("message", ""))
    return code, status.get("reason"), message, document.get("spec"), (document.get("metadata") or {}).get("labels")


async def main(kubeconfig: str) -> int:
    loop, real, differing, total = asyncio.get_running_loop(), RealServer(kubeconfig), 0, 0

    def reply(asked: Asked) -> Reply:
        given = behaving(asked.json)
        return given if isinstance(given, tuple) else json_reply(given)

    async with webhook_server(reply) as server, converting(behaving) as ours:

        async def ask(exchange: Exchange) -> tuple[int, Any, list[str]]:
            return await loop.run_in_executor(None, real.ask, exchange)

        crd = definition(server.client_config("/convert"), ["v1"])
        await ask(Exchange("", "DELETE", f"{CRDS}/endings.example.com", None, _JSON))
        await asyncio.sleep(3)
        made = await ask(Exchange("", "POST", CRDS, crd, _JSON))
        assert made[0] == 201, made
        await asyncio.sleep(3)
        for exchange in steps("/apis/example.com"):
            theirs, mine = await ask(exchange), await ask_ours(ours.client, exchange)
            total += 1
            if shown(*theirs[:2]) != shown(*mine[:2]):
                differing += 1
                print(exchange.method, exchange.url, "\n  theirs", shown(*theirs[:2]), "\n  ours  ", shown(*mine[:2]))
        print(f"{total - differing} of {total} equal; calls: theirs {len(server.asked)}, ours {len(ours.server.asked)}")
        await ask(Exchange("", "DELETE", f"{CRDS}/endings.example.com", None, _JSON))
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
