"""Generated writes of built-in kinds: the same to us and to a real kube-apiserver; the share of equal answers per kind.

    python -m tests.differential.generated_kinds KUBECONFIG [--seed 1] [--cases 300] [--only Pod,Job] [--show 5]

Compared are code, reason, type and field of each cause, and the object. Everything but the objects that are updated is
a dry run. Exit code 1 if a kind falls below 99 %. `make differential-generated KUBECONFIG=…` runs it; controllers off.
"""

import argparse
import asyncio
import copy
import http.client
import json
import os
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.contracts.api_client import ApiClient, memory_shard
from tests.differential.compare import RealServer, as_it_should_be, ask_ours, concrete, masked
from tests.differential.exchanges import JSON_PATCH, MERGE, STRATEGIC, Exchange
from tests.differential.generated_cases import (
    GROUPS,
    REMOVED,
    Bend,
    Object,
    Seed,
    as_creation,
    bends,
    bent,
    json_patch,
    merge_patch,
    seeds,
)  # fmt: skip

APPLY = "application/apply-patch+yaml"
WANTED = 0.99
_BASES = 12  # objects of a kind that are stored, and then updated
_ALLOCATED = re.compile(r'"(clusterIP|nodePort|healthCheckNodePort)": ("10\.[0-9.]+"|3[0-9]{4})')
_PLAIN = re.compile(r"[a-z0-9.{}-]+")  # names that a URL carries as they are
# Whose status kube-apiserver's own controllers write at once, and ours only where a server runs.
_STATUS_OF_CONTROLLERS = ("APIService", "FlowSchema", "PriorityLevelConfiguration", "ServiceCIDR")
_NAMED = re.compile(r"kube-api-access-[a-z0-9]{5}")


class Server:
    """One of the two, with the objects that are stored there."""

    def __init__(self, namespace: str, real: RealServer | None = None, ours: ApiClient | None = None) -> None:
        self.namespace, self.real, self.ours = namespace, real, ours
        self.stored: dict[str, Object] = {}

    async def ask(self, exchange: Exchange) -> tuple[int, Any]:
        made = concrete(exchange, self.namespace, {})
        if not isinstance(made.body, str | None):
            # Without spaces, as clients write: kube-apiserver keeps the bytes of some members and compares them.
            made = made._replace(body=json.dumps(made.body, separators=(",", ":")))
        if self.real is not None:
            try:
                code, document, _ = as_it_should_be(*self.real.ask(made))
            except http.client.RemoteDisconnected:
                return 0, None  # it panicked
        else:
            assert self.ours is not None
            try:
                code, document, _ = await ask_ours(self.ours, made)
            except Exception as error:  # noqa: BLE001 - a bug of ours is a difference, and the rest is asked
                return 500, {"reason": "Bug", "message": repr(error)}
        return code, document


class Both(NamedTuple):
    real: Server
    ours: Server

    async def ask(self, exchange: Exchange) -> tuple[Any, Any]:
        theirs, mine = await self.real.ask(exchange), await self.ours.ask(exchange)
        return verdict(*theirs), verdict(*mine)


def verdict(code: int, document: Any) -> Any:
    """None if there is none."""
    if not code:
        return None
    if code >= 400:
        causes = (document.get("details") or {}).get("causes") or ()
        listed = sorted({(c.get("field", ""), c.get("reason", "")) for c in causes})
        return code, document.get("reason"), listed, document.get("message", "")
    _mask_name(document)
    if document.get("kind") in _STATUS_OF_CONTROLLERS:
        document = {key: value for key, value in document.items() if key != "status"}
    text = json.dumps(masked(document, code), sort_keys=True)
    text = _NAMED.sub("kube-api-access-NNNNN", _ALLOCATED.sub(r'"\1": "SOME"', text))
    text = re.sub(r'"clusterIPs": \["10\.[0-9.]+"\]', '"clusterIPs": ["SOME"]', text)
    return code, json.loads(text)


def _mask_name(document: Any) -> None:
    """The five characters that a generated name ends in, of any length before them."""
    meta = document.get("metadata") or {}
    if meta.get("generateName"):
        meta["name"] = f"{meta['name'][:-5]}....."


def are_equal(theirs: Any, mine: Any) -> bool:
    return bool(theirs[:3] == mine[:3] if theirs[0] >= 400 else theirs == mine)


async def run(arguments: argparse.Namespace) -> int:
    name = f"gen-{os.getpid()}"
    both = Both(
        Server(name, RealServer(arguments.kubeconfig)), Server(name, None, ApiClient(memory_shard(api_set="full")))
    )
    for exchange in _surroundings():
        await both.ask(exchange)
    by_kind: dict[tuple[str, str], list[Seed]] = {}
    for seed in seeds():
        by_kind.setdefault((seed.api_version, seed.kind), []).append(seed)
    equal, asked = Counter[str](), Counter[str]()
    for (version, kind), of_kind in sorted(by_kind.items()):
        if version.rpartition("/")[0] not in GROUPS.values() or (arguments.only and kind not in arguments.only):
            continue
        shown = f"{kind} ({version})"
        rng = random.Random(f"{arguments.seed} {shown}")
        differing = []
        async for case, theirs, mine in _compared(both, rng, of_kind, arguments.cases):
            if theirs is None or theirs[0] == 500:
                continue  # what kube-apiserver calls a fault of its own
            asked[shown] += 1
            equal[shown] += are_equal(theirs, mine)
            if not are_equal(theirs, mine):
                differing.append(f"{case}\n    {_difference(theirs, mine)}")
        print("\n".join(differing[: arguments.show]))
        print(f"{shown}: {equal[shown]} of {asked[shown]} equal", flush=True)
    assert both.ours.ours is not None
    await both.ours.ours.shard.store.close()
    print("\n| kind | cases | equal |\n|---|---|---|")
    print("\n".join(f"| {kind} | {asked[kind]} | {equal[kind] / asked[kind]:.1%} |" for kind in asked))
    return 1 if any(equal[kind] < WANTED * asked[kind] for kind in asked) else 0


def _difference(theirs: Any, mine: Any) -> str:
    """In one line: causes that only one names, members that differ, or two verdicts."""
    if theirs[0] >= 400 and mine[0] >= 400 and theirs[:2] == mine[:2]:
        there, here = set(map(tuple, theirs[2])), set(map(tuple, mine[2]))
        return (
            f"{theirs[1]}: only there {sorted(there - here)}, only here {sorted(here - there)}\n    {theirs[3][:300]}"
        )
    if theirs[0] < 400 and mine[0] < 400:
        there, here = dict(_leaves(theirs[1], "")), dict(_leaves(mine[1], ""))
        paths = sorted(key for key in there.keys() | here.keys() if there.get(key) != here.get(key))
        listed = (f"{key}: {there.get(key)!r} there, {here.get(key)!r} here" for key in paths)
        return f"{theirs[0]} {mine[0]} {'; '.join(listed)}"[:700]
    return f"there {_told_verdict(theirs)}\n    here {_told_verdict(mine)}"


def _told_verdict(verdict: Any) -> str:
    return (
        f"{verdict[0]} {verdict[1]} {verdict[2]} {verdict[3]}"[:500]
        if verdict[0] >= 400
        else f"{verdict[0]} {verdict[1]}"[:300]
    )


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list) and value:
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(item, f"{path}.{key}")
    else:
        yield path, value


def _surroundings() -> Iterator[Exchange]:
    yield Exchange("", "POST", "/api/v1/namespaces", {"metadata": {"name": "{ns}"}})
    yield Exchange("", "POST", "/api/v1/namespaces/{ns}/serviceaccounts", {"metadata": {"name": "default"}})


async def _compared(both: Both, rng: random.Random, of_kind: list[Seed], cases: int) -> Any:
    """Cases of one kind with the verdicts of both."""
    good: list[Seed] = []
    for seed in of_kind:
        theirs, _ = await both.ask(as_creation(seed, seed.body))
        if theirs[0] == 201:
            good.append(seed)
    if not good:
        print(f"no good seed of {of_kind[0].kind}: {theirs}")
        return
    bases = await _stored(both, rng, good)
    for _ in range(cases):
        if not bases or rng.random() < 0.5:
            seed = rng.choice(good)
            found = bends(rng, seed, seed.body)
            body = seed.body
            for bend in found:
                body = bent(body, bend)
            exchange = as_creation(seed, body)
            theirs, mine = await both.ask(exchange)
            yield f"create {_told(found)} of {json.dumps(seed.body)[:300]}", theirs, mine
        else:
            seed, url, _, here = rng.choice(bases)
            _, there = await both.real.ask(Exchange("", "GET", url))  # its controllers may have written since
            found = bends(rng, seed, _fresh(there))
            how = rng.choice(("PUT", JSON_PATCH, MERGE, STRATEGIC, APPLY, "status"))
            if how in (STRATEGIC, APPLY) and _has_large_number([bend.value for bend in found]):
                continue
            theirs = verdict(*await both.real.ask(_change(how, seed, url, there, found)))
            own = [_translated(bend, there, here) for bend in found]
            mine = verdict(*await both.ours.ask(_change(how, seed, url, here, own)))
            yield (
                f"{how.removeprefix('application/')} {_told(found)} of {json.dumps(_fresh(there))[:300]}",
                theirs,
                mine,
            )
    await _removed(both, bases)


def _has_large_number(value: Any) -> bool:
    """What does not fit an integer wraps around in kube-apiserver's strategic merge patches; here it is refused."""
    if isinstance(value, dict | list):
        return any(map(_has_large_number, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int | float) and value >= 2**31


def _translated(bend: Bend, there: Object, here: Object) -> Bend:
    """With our object's uid in the place of theirs."""
    if bend.value is REMOVED:
        return bend
    text = json.dumps(bend.value).replace(there["metadata"]["uid"], here["metadata"]["uid"])
    return bend._replace(value=json.loads(text))


def _told(found: list[Bend]) -> str:
    return "; ".join(
        f"{'.'.join(map(str, b.path))} := {json.dumps(b.value, default=lambda _: 'REMOVED')[:200]}" for b in found
    )


async def _removed(both: Both, bases: list[tuple[Seed, str, Object, Object]]) -> None:
    """Some would have a say in writes of other kinds, some have names that the next run wants."""
    for _, url, _, _ in bases:
        await both.ask(Exchange("", "DELETE", url))


async def _stored(both: Both, rng: random.Random, good: list[Seed]) -> list[tuple[Seed, str, Object, Object]]:
    """Objects of the kind that are there on both sides, as both show them."""
    found = []
    plain = [seed for seed in good if _PLAIN.fullmatch(seed.body["metadata"].get("name") or "")]
    for place, seed in enumerate(rng.sample(plain, min(_BASES, len(plain)))):
        body = copy.deepcopy(seed.body)
        name = f"{body['metadata'].get('name') or '{ns}-a'}".replace("{ns}-a", f"{{ns}}-b{place}")
        body["metadata"] = {**body["metadata"], "name": name}
        made = as_creation(seed, body, "")
        (code, theirs), (own_code, mine) = await both.real.ask(made), await both.ours.ask(made)
        if code == own_code == 201:
            found.append((seed, f"{seed.collection}/{name}", theirs, mine))
    return found


def _fresh(stored: Object) -> Object:
    """A stored object without what must not be sent back bent."""
    body = copy.deepcopy(stored)
    body["metadata"] = {
        k: v for k, v in body["metadata"].items() if k in ("name", "namespace", "labels", "annotations", "finalizers")
    }
    return body


def _change(how: str, seed: Seed, url: str, stored: Object, found: list[Bend]) -> Exchange:
    before = _fresh(stored)
    after = before
    for bend in found:
        after = bent(after, bend)
    dry = "?dryRun=All"
    if how in ("PUT", "status"):
        body = copy.deepcopy(after)
        if isinstance(body.get("metadata"), dict):
            body["metadata"].setdefault("resourceVersion", stored["metadata"]["resourceVersion"])
        return Exchange("", "PUT", url + ("/status" if how == "status" else "") + dry, body)
    if how == JSON_PATCH:
        return Exchange("", "PATCH", url + dry, json_patch(found), JSON_PATCH)
    if how == APPLY:
        return Exchange("", "PATCH", f"{url}{dry}&fieldManager=x&force=true", after, APPLY)
    return Exchange("", "PATCH", url + dry, merge_patch(before, after), how)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("kubeconfig")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--only", type=lambda text: text.split(","), default=[])
    parser.add_argument("--show", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    os.environ.setdefault("KCP_VERIFY", "1")
    sys.exit(asyncio.run(run(_arguments())))
