"""Physical clusters that are paused, killed, cut off, drained, upgraded and returned, under a kcp that places workloads
on them, while a checker counts the pods that really run in them: `make chaos ARGS="--seed 1 --rounds 2"`.

What must hold at every moment:

* a workload that must run at least has as many ready pods as it asks for in the clusters that are alive, but for the
  window in which the loss of one is found out and made good;
* one that must run at most once never has two pods, wherever they are, reached or not;
* while nobody else has room (all clusters are out of reach) nothing is deleted anywhere;
* what is not ours is never touched.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.clients.demo import Demo
from tests.clients.physical_clusters import PhysicalCluster, Way, now

REPLICAS = 12
WINDOW_S = 75.0  # 15 s until a cluster is given up, and new pods; three times as long where the machine is busy
OUT_S = 45.0  # how long something is away
FOREIGN = "/api/v1/namespaces/foreign/configmaps/theirs", "/apis/apps/v1/namespaces/foreign/deployments/web"


def deployment(name: str, replicas: int) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "c", "image": "nginx", "resources": {"requests": {"cpu": "100m"}}}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 1}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels}, "spec": spec}


ONCE = {
    "apiVersion": "placement.kcp.dev/v1alpha1",
    "kind": "PlacementPolicy",
    "metadata": {"name": "once"},
    "spec": {"resourceSelectors": [{"kind": "Deployment", "name": "once"}], "failover": {"guarantee": "AtMostOnce"}},
}


class Pods(NamedTuple):
    """Of one cluster: by application, how many are ready and how many there are at all."""

    ready: dict[str, int]
    alive: dict[str, int]


class Place:
    """One physical cluster with the way on which kcp reaches it. `is_out`: its pods serve nobody."""

    def __init__(self, cluster: PhysicalCluster) -> None:
        self.cluster, self.way = cluster, Way(cluster.port)
        self.is_out = False
        self.last = Pods({}, {})
        self.foreign: list[str] = []

    def look(self) -> Pods:
        """What runs there now; of one that does not answer, what was there last."""
        if not self.is_out:
            try:
                pods = self.cluster.ask("/api/v1/pods", timeout_s=10)["items"]
            except OSError:
                return self.last
            found = Pods({}, {})
            for pod in pods:
                app = (pod["metadata"].get("labels") or {}).get("app")
                if pod["metadata"]["namespace"] == "foreign" or app is None:
                    continue
                status = pod.get("status") or {}
                ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or ())
                if status.get("phase") in ("Running", "Pending"):
                    found.alive[app] = found.alive.get(app, 0) + 1
                if ready and not pod["metadata"].get("deletionTimestamp"):
                    found.ready[app] = found.ready.get(app, 0) + 1
            self.last = found
        return self.last


class Checker:
    """Looks again and again; `breaches` are sentences."""

    def __init__(self, places: list[Place]) -> None:
        self.places = places
        self.breaches: list[str] = []
        self.looks = 0
        self.least = REPLICAS
        self.excused_until = 0.0
        self.is_nothing_deleted = False
        self._before: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Checker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def excuse(self) -> None:
        """A cluster has just been lost: until the window is over fewer may run."""
        self.excused_until = time.monotonic() + WINDOW_S

    def keep_all(self, wanted: bool) -> None:
        """From now on no pod may go anywhere; or again may."""
        self._before = {place.cluster.name: place.look().alive.get("web", 0) for place in self.places}
        self.is_nothing_deleted = wanted

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            found = {place.cluster.name: place.look() for place in self.places}
            out = {place.cluster.name for place in self.places if place.is_out}
            self.looks += 1
            ready = sum(pods.ready.get("web", 0) for name, pods in found.items() if name not in out)
            shown = {name: (pods.ready.get("web", 0), "out" if name in out else "") for name, pods in found.items()}
            if time.monotonic() > self.excused_until:
                self.least = min(self.least, ready)
                if ready < REPLICAS and len(out) < len(self.places):
                    self._tell(f"{ready} of {REPLICAS} pods of web are ready: {shown}")
            once = sum(pods.alive.get("once", 0) for pods in found.values())
            if once > 1:
                self._tell(f"{once} pods of once: { {name: pods.alive for name, pods in found.items()} }")
            if self.is_nothing_deleted:
                for name, pods in found.items():
                    if pods.alive.get("web", 0) < self._before[name]:
                        self._tell(f"pods were deleted in {name} while nowhere else was room: {shown}")

    def _tell(self, breach: str) -> None:
        self.breaches.append(f"{now()} {breach}")
        print(f"BREACH {self.breaches[-1]}", flush=True)


def foreign_state(place: Place) -> list[str]:
    found = [place.cluster.ask(path) for path in FOREIGN]
    return [
        f"{each['metadata']['uid']} {each['metadata'].get('generation')} {each['metadata'].get('labels')}"
        for each in found
    ]


def plant_foreign(place: Place) -> None:
    ask = place.cluster.ask
    ask("/api/v1/namespaces", {"metadata": {"name": "foreign"}})
    ask("/api/v1/namespaces/foreign/configmaps", {"metadata": {"name": "theirs"}, "data": {"a": "b"}})
    ask("/apis/apps/v1/namespaces/foreign/deployments", deployment("web", 2))
    place.foreign = foreign_state(place)


class Chaos:
    def __init__(self, demo: Demo, places: list[Place], checker: Checker, upgrade_to: str) -> None:
        self.demo, self.places, self.checker, self.upgrade_to = demo, places, checker, upgrade_to

    def say(self, what: str) -> None:
        print(f"{now()} {what}", flush=True)

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        return self.demo.run(*arguments, stdin=stdin, quiet=True)

    # --- phases: each takes something away and gives it back

    def pause(self, place: Place) -> None:
        self._away(place, "is paused", lambda: self._lose(place, place.cluster.pause))
        self.say(f"{place.cluster.name} goes on")
        place.cluster.resume()
        self._return(place)

    def cut(self, place: Place) -> None:
        """Its pods go on running, and nobody can tell it anything."""
        self._away(place, "is cut off", place.way.cut)
        self.say(f"{place.cluster.name} is reached again")
        place.way.mend()
        self._settle()

    def kill(self, place: Place) -> None:
        self._away(place, "is killed", lambda: self._lose(place, place.cluster.kill))
        self.say(f"{place.cluster.name} is started again")
        place.cluster.restart()
        self._return(place)

    def upgrade(self, place: Place) -> None:
        version = "" if self.upgrade_to == "default" else self.upgrade_to
        if place.cluster.version == version:
            return
        before = place.cluster.ask("/version")["gitVersion"]
        self.checker.excuse()  # its pods run, but nobody can ask for them while its server is away
        place.cluster.upgrade(version)
        self.say(f"{place.cluster.name} was {before} and is {place.cluster.ask('/version')['gitVersion']}")
        self._settle()

    def drain(self, place: Place) -> None:
        self.say(f"{place.cluster.name} is drained")
        self._patch(place, {"drain": True})
        self._wait(f"{place.cluster.name} is empty", lambda: not any(place.look().alive.values()))
        self.say(f"{place.cluster.name} may be used again")
        self._patch(place, {"drain": False})
        self._settle()

    def cut_all(self) -> None:
        before = self.kubectl("get", "events").count("FailoverFrozen")
        self.say("all clusters are cut off")
        for place in self.places:
            place.way.cut()
        self.checker.keep_all(True)
        self._wait("failover is frozen", lambda: self.kubectl("get", "events").count("FailoverFrozen") > before)
        time.sleep(OUT_S)
        for place in self.places:
            place.way.mend()
        self.say("all clusters are reached again")
        time.sleep(15)
        self.checker.keep_all(False)
        self._settle()

    # --- parts of them

    def _away(self, place: Place, what: str, take: Callable[[], None]) -> None:
        """Until the others have done its work for a while."""
        self.say(f"{place.cluster.name} {what}")
        take()
        self._wait(f"web runs without {place.cluster.name}", lambda: self._ready_elsewhere(place) >= REPLICAS)
        time.sleep(10)

    def _lose(self, place: Place, how: Callable[[], None]) -> None:
        self.checker.excuse()
        place.look()
        place.is_out = True
        how()

    def _return(self, place: Place) -> None:
        """Its pods count again once it answers; what it has too much goes by and by."""
        self._wait(f"{place.cluster.name} answers", lambda: self._answers(place))
        place.is_out = False
        self._settle()

    def _answers(self, place: Place) -> bool:
        try:
            place.cluster.ask("/readyz", raw=True)
        except OSError:
            return False
        return True

    def _settle(self) -> None:
        """Until everything runs that should, and nothing more."""

        def is_settled() -> bool:
            found = [place.look() for place in self.places]
            alive = sum(pods.alive.get("web", 0) for pods in found)
            ready = sum(pods.ready.get("web", 0) for pods in found)
            divided = all(pods.alive.get("web", 0) for pods in found)
            return divided and (alive, ready) == (REPLICAS, REPLICAS) and self._root_ready()

        self._wait("all is as it should be", is_settled)

    def _root_ready(self) -> bool:
        said = self.kubectl("get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}/{.spec.replicas}")
        return said == f"{REPLICAS}/{REPLICAS}"

    def _ready_elsewhere(self, place: Place) -> int:
        return sum(each.look().ready.get("web", 0) for each in self.places if each is not place)

    def _patch(self, place: Place, spec: dict[str, Any]) -> None:
        self.kubectl("patch", "cluster", place.cluster.name, "--type=merge", "-p", yaml.safe_dump({"spec": spec}))

    def _wait(self, what: str, holds: Callable[[], bool]) -> None:
        began = time.monotonic()
        while not holds():
            if time.monotonic() - began > 300:
                shown = {place.cluster.name: place.look() for place in self.places}
                print(self.kubectl("get", "deployments,clusters", "-o", "wide"), self.kubectl("get", "events"))
                raise SystemExit(f"FAILED: not after 300 s: {what}: {shown}")
            time.sleep(0.5)
        self.say(f"after {time.monotonic() - began:.1f} s: {what}")


def prepare(demo: Demo, places: list[Place]) -> None:
    demo.run("config", "use-context", "admin")
    demo.run("apply", "-f", "config")
    for place in places:
        spec = {"kubeconfig": place.cluster.kubeconfig_text(place.way.port), "resources": ["deployments.apps"]}
        head = {"apiVersion": "cluster.example.dev/v1alpha1", "kind": "Cluster"}
        text = yaml.safe_dump({**head, "metadata": {"name": place.cluster.name}, "spec": spec})
        demo.shows("apply", "-f", "-", stdin=text, that=lambda said: "created" in said)
    publish = '{"spec":{"publish":true}}'
    demo.shows("patch", "negotiatedapiresources", "deployments.v1.apps", "--type=merge", "-p", publish,
               that=lambda said: "patched" in said)  # fmt: skip
    for _ in range(4):
        said = demo.run("wait", "clusters", "--all", "--for=condition=Ready", "--timeout=100s")
        if said.count("condition met") == len(places):
            break
    else:
        raise SystemExit(
            f"FAILED: clusters are not ready:\n{demo.run('get', 'clusters', '-o', 'yaml', quiet=True)[-6000:]}"
        )
    demo.shows("apply", "-f", "-", stdin=yaml.safe_dump(ONCE), that=lambda said: "created" in said)
    for made in (deployment("web", REPLICAS), deployment("once", 1)):
        demo.shows("apply", "-f", "-", stdin=yaml.safe_dump(made), that=lambda said: "created" in said)
    for name in ("web", "once"):
        demo.run("wait", f"deployment/{name}", "--for=condition=Available", "--timeout=100s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--versions", default=",v1.35.4", help="of the clusters, '' for what stands in $PEERS_DIR itself"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--phases", default="pause,cut,kill,drain,upgrade,cut_all")
    parser.add_argument("--upgrade-to", default="default")
    parser.add_argument("--port", type=int, default=24600)
    parser.add_argument("--directory", type=Path, help="a new one, whose logs are kept")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    chance = random.Random(given.seed)
    with tempfile.TemporaryDirectory(prefix="kcp-chaos-") as temporary:
        directory = given.directory or temporary
        names = ("east", "west", "north", "south")
        versions = given.versions.split(",")
        places = []
        process: subprocess.Popen[str] | None = None
        demo = Demo(Path(directory), given.port)
        try:
            for name, version in zip(names, versions, strict=False):
                cluster = PhysicalCluster(name, Path(directory) / name, version)
                cluster.start()
                places.append(Place(cluster))
                print(f"{now()} {name}: {cluster.ask('/version')['gitVersion']}", flush=True)
            for place in places:
                plant_foreign(place)
            process = demo.start()
            prepare(demo, places)
            with Checker(places) as checker:
                chaos = Chaos(demo, places, checker, given.upgrade_to)
                for _ in range(given.rounds):
                    phases = [each for each in given.phases.split(",") if each != "cut_all"]
                    chance.shuffle(phases)
                    for phase in phases:
                        old = [place for place in places if place.cluster.version]
                        getattr(chaos, phase)(
                            chance.choice(old or places) if phase == "upgrade" else chance.choice(places)
                        )
                    if "cut_all" in given.phases:
                        chaos.cut_all()
            for place in places:
                if foreign_state(place) != place.foreign:
                    checker.breaches.append(f"what is not ours was changed in {place.cluster.name}")
            told = demo.run("get", "events", quiet=True)
            for reason in ("ClusterSuspect", "ClusterLost", "ClusterReturned", "FailedOver"):
                if given.phases != "cut_all" and reason not in told:
                    checker.breaches.append(f"no Event {reason}")
            print(
                f"{checker.looks} looks, {len(checker.breaches)} breaches, never fewer than {checker.least} pods ready"
            )
        finally:
            if process is not None:
                process.terminate()
                process.wait(60)
            for place in places:
                place.cluster.stop()
    sys.exit(1 if checker.breaches else 0)


if __name__ == "__main__":
    main()
