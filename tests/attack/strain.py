"""Attempts that read nothing: to count, to tell by time, and to block. Each yields sentences about what was possible.

Times are compared in turns on one connection, so that what else the machine does falls on both sides alike.
"""

import json
import random
import ssl
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from tests.attack.credentials import context
from tests.attack.suite import Siege
from tests.attack.targets import MARKER, Attack
from tests.attack.wire import Wire

_MAPS = "/api/v1/namespaces/default/configmaps"
_WRITES = 60
PAIRS, MOST_PAIRS = 400, 3200
# What must be told if it is there, and what is let pass: a few dozen microseconds are within one answer's own unrest,
# and whoever may ask a million times learns them of any server.
TOLD_S, IGNORED_S = 300e-6, 60e-6
# A difference that chance makes in one of a hundred exchanges is none; it has to come twice besides.
SHUFFLES, CHANCE = 300, 0.01
FLOODERS, FLOOD_S = 24, 6.0
# What a neighbour's flood may make of an answer on two busy cores. Without fair turns it is seconds, or a refusal.
BLOCKED_S = 1.0


def counting(siege: Siege) -> Iterator[str]:
    """What the attacker sees of their own logical cluster must not depend on how much the victim writes."""
    names = siege.names
    account = _wire(siege, "account of the attacker")

    def seen() -> tuple[Any, ...]:
        found = []
        for rest in (f"{_MAPS}?limit=1", f"{_MAPS}?labelSelector=none", "/api/v1/namespaces/kube-system/configmaps"):
            answer = account.ask(Attack("GET", f"/clusters/{names.attacker}{rest}"))
            about = json.loads(answer.body)["metadata"]
            found.append((answer.code, answer.headers, about.get("remainingItemCount")))
        return tuple(found)

    before = seen()
    for number in range(_WRITES):
        siege.admin("POST", names.victim, _MAPS, {"metadata": {"name": f"count-{number}"}})
    after = seen()
    for number in range(_WRITES):
        siege.admin("DELETE", names.victim, f"{_MAPS}/count-{number}")
    if before != after:
        yield f"the victim's {_WRITES} writes show in the attacker's answers: {before} and then {after}"
    yield from _watched(siege, account)


def _watched(siege: Siege, account: Wire) -> Iterator[str]:
    """A watch of the attacker's own, and one that begins where the victim's list stood, must not tell of the victim."""
    names = siege.names
    at = siege.admin("GET", names.victim, f"{_MAPS}?limit=1")["metadata"]["resourceVersion"]
    with ThreadPoolExecutor(2) as pool:
        paths = [
            f"/clusters/{names.attacker}{_MAPS}?watch=1&timeoutSeconds=2&allowWatchBookmarks=true{since}"
            for since in ("", f"&resourceVersion={at}")
        ]
        wires = [account, Wire(siege.site.port, context(siege.site.authority), account._headers)]
        answers = pool.map(lambda pair: pair[0].ask(Attack("GET", pair[1])), zip(wires, paths, strict=True))
        for number in range(_WRITES):
            siege.admin("POST", names.victim, _MAPS, {"metadata": {"name": f"seen-{number}"}})
        for path, answer in zip(paths, answers, strict=True):
            if b"seen-" in answer.body or MARKER.encode() in answer.body:
                yield f"{path} tells of the victim's writes"
    for number in range(_WRITES):
        siege.admin("DELETE", names.victim, f"{_MAPS}/seen-{number}")


class Pair(NamedTuple):
    """Two requests whose times must be alike."""

    what: str
    one: str
    other: str


def timing(siege: Siege) -> Iterator[str]:
    """Whether times tell what answers do not: an object there or not, a collection full or empty.

    A difference counts if it is there twice, with the same sign. Whether the clock would have shown one is found out on
    the very same measurements: with TOLD_S more on one side it must.
    """
    victim, home = f"/clusters/{siege.names.victim}", f"/clusters/{siege.names.attacker}"
    account = _wire(siege, "account of the attacker")
    known = _measured(account, f"{home}/apis/rbac.authorization.k8s.io/v1/clusterroles", f"{home}{_MAPS}/first")
    if verdict(*known) <= 0:
        yield "the clock is too coarse: it does not tell what the attacker may know"
    questions = [
        Pair("the logical cluster exists", f"{victim}{_MAPS}/x", f"/clusters/{siege.names.phantom}{_MAPS}/x"),
        Pair("an object exists", f"{victim}/api/v1/namespaces/default/secrets/{MARKER}-key", f"{victim}{_absent}"),
        Pair("a namespace exists", f"{victim}/api/v1/namespaces/{MARKER}", f"{victim}/api/v1/namespaces/{MARKER}x"),
        Pair("a collection is full", f"{victim}/api/v1/secrets", f"{victim}/api/v1/podtemplates"),
        Pair(
            "a resource is served",
            f"{victim}/api/v1/namespaces/default/configmaps/x",
            f"{victim}/apis/none.example.com/v1/namespaces/default/configmap/x",
        ),
    ]
    for name in ("nobody", "account of the attacker", "administrator of the attacker's, known to the installation"):
        wire = _wire(siege, name)
        for question in questions:
            ones, others = _measured(wire, question.one, question.other)
            first = verdict(ones, others)
            told = f"{_low(ones) * 1e6:.0f} and {_low(others) * 1e6:.0f} µs of {len(ones)} pairs"
            print(f"  {name}, {question.what}: {told}", flush=True)
            if not is_sharp(ones, others):
                yield f"{name}, {question.what}: the clock is too coarse to tell {TOLD_S * 1e6:.0f} µs ({told})"
            elif first and verdict(*_measured(wire, question.one, question.other)) * first > 0:
                yield f"{name}: times tell whether {question.what} ({told})"


_absent = f"/api/v1/namespaces/default/secrets/{MARKER}-kex"


def verdict(ones: Sequence[float], others: Sequence[float]) -> int:
    """1: `ones` took longer, -1: less long, 0: nothing can be told.

    Noise only ever adds to a time, so what is compared is the lower part of each; how far apart two such figures of the
    same thing are by chance is found out by exchanging the two of a pair at random.
    """
    found, rng = _low(ones) - _low(others), random.Random(len(ones))
    as_far = 0
    for _ in range(SHUFFLES):
        flips = [rng.random() < 0.5 for _ in ones]
        left = [other if flip else one for one, other, flip in zip(ones, others, flips, strict=True)]
        right = [one if flip else other for one, other, flip in zip(ones, others, flips, strict=True)]
        as_far += abs(_low(left) - _low(right)) >= abs(found)
    if as_far > SHUFFLES * CHANCE or abs(found) < IGNORED_S:
        return 0
    return 1 if found > 0 else -1


def is_sharp(ones: Sequence[float], others: Sequence[float]) -> bool:
    """Whether these measurements would have told a difference of TOLD_S, on either side."""
    later = verdict([time + TOLD_S for time in ones], others)
    return later > 0 and verdict(ones, [time + TOLD_S for time in others]) < 0


def _low(times: Sequence[float]) -> float:
    return sorted(times)[len(times) // 5]


def _measured(wire: Wire, one: str, other: str) -> tuple[list[float], list[float]]:
    """Times in turns, until they are sharp or there are MOST_PAIRS. The order within a pair changes, so that nothing
    follows from it."""
    ones: list[float] = []
    others: list[float] = []
    while len(ones) < MOST_PAIRS and not (ones and is_sharp(ones, others)):
        for number in range(PAIRS + 10):
            if number % 2:
                first, second = _took(wire, one), _took(wire, other)
            else:
                second, first = _took(wire, other), _took(wire, one)
            if number >= 10:  # connections and caches are warm
                ones.append(first)
                others.append(second)
    return ones, others


def _took(wire: Wire, target: str) -> float:
    begun = time.perf_counter()
    wire.ask(Attack("GET", target))
    return time.perf_counter() - begun


def blocking(siege: Siege) -> Iterator[str]:
    """The attacker throws at the victim's paths and their own what costs most; the victim is answered all the same."""
    names = siege.names
    headers = _wire(siege, "account of the attacker")._headers
    victim = Wire(siege.site.port, context(siege.site.authority), _victim_headers(siege))
    large = json.dumps({"metadata": {"name": "large"}, "data": {"x": "y" * 900_000}}).encode()
    typed = (("Content-Type", "application/json"),)
    floods: Sequence[tuple[str, Callable[[], Attack]]] = (
        ("gets of the victim's", lambda: Attack("GET", f"/clusters/{names.victim}{_MAPS}/first")),
        ("large bodies to the victim", lambda: Attack("POST", f"/clusters/{names.victim}{_MAPS}", typed, large)),
        ("lists of the victim's", lambda: Attack("GET", f"/clusters/{names.victim}/api/v1/secrets")),
        ("watches of the victim's", lambda: Attack("GET", f"/clusters/{names.victim}{_MAPS}?watch=1&timeoutSeconds=9")),
        ("OpenAPI of the victim's", lambda: Attack("GET", f"/clusters/{names.victim}/openapi/v2")),
        ("large bodies at home", lambda: Attack("POST", f"/clusters/{names.attacker}{_MAPS}", typed, large)),
        ("OpenAPI at home", lambda: Attack("GET", f"/clusters/{names.attacker}/openapi/v2")),
        ("births", lambda: Attack("POST", f"/clusters/{names.phantom}{_MAPS}", typed, b'{"metadata":{"name":"x"}}')),
    )
    for name, flood in floods:
        times, codes = _under(siege, headers, victim, flood)
        if bad := sorted(set(codes) - {200}):
            yield f"{name}: the victim is answered {bad}"
        elif (slow := statistics.quantiles(times, n=20)[-1]) > BLOCKED_S:
            yield f"{name}: one in twenty of the victim's gets takes over {slow:.2f} s"
    yield from _connections(siege, victim)


def _under(
    siege: Siege, headers: tuple[tuple[str, str], ...], victim: Wire, flood: Callable[[], Attack]
) -> tuple[Sequence[float], Sequence[int]]:
    """Times (s) and codes of the victim's gets while FLOODERS connections of the attacker do nothing but `flood`."""
    over = threading.Event()
    trust = context(siege.site.authority)

    def one(_: int) -> None:
        wire = Wire(siege.site.port, trust, headers)
        while not over.is_set():
            wire.ask(flood())
        wire.close()

    times: list[float] = []
    codes: list[int] = []
    with ThreadPoolExecutor(FLOODERS) as pool:
        done = [pool.submit(one, number) for number in range(FLOODERS)]
        ends = time.monotonic() + FLOOD_S
        while time.monotonic() < ends or len(times) < 20:
            begun = time.perf_counter()
            codes.append(victim.ask(Attack("GET", f"/clusters/{siege.names.victim}{_MAPS}/first")).code)
            times.append(time.perf_counter() - begun)
            time.sleep(0.02)
        over.set()
        for each in done:
            each.result()
    return times, codes


def _connections(siege: Siege, victim: Wire) -> Iterator[str]:
    """Half requests that are never finished."""
    trust, held = context(siege.site.authority), []
    try:
        for _ in range(300):
            wire = Wire(siege.site.port, trust)
            wire.send(
                b"POST /clusters/x/api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: localhost\r\nContent-Le"
            )
            held.append(wire)
        begun = time.perf_counter()
        code = victim.ask(Attack("GET", f"/clusters/{siege.names.victim}{_MAPS}/first")).code
        fresh = Wire(siege.site.port, trust, _victim_headers(siege))
        new = fresh.ask(Attack("GET", f"/clusters/{siege.names.victim}{_MAPS}/first")).code
        fresh.close()
        took = time.perf_counter() - begun
        if (code, new) != (200, 200) or took > 2 * BLOCKED_S:
            yield f"300 half requests: the victim is answered {code} and {new} after {took:.2f} s"
    except (OSError, ssl.SSLError) as error:
        yield f"300 half requests: {error}"
    finally:
        for wire in held:
            wire.close()


def _victim_headers(siege: Siege) -> tuple[tuple[str, str], ...]:
    return (("Authorization", f"Bearer {siege._token(siege.names.victim)}"),)


def _wire(siege: Siege, name: str) -> Wire:
    return next(each.wire for each in siege.credentials if each.name == name)
