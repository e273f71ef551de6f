"""The tier under test as processes: start, find, kill, restart."""

import base64
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from http.client import HTTPException
from pathlib import Path
from ssl import create_default_context
from typing import Any

import psutil
import yaml

CRASHES = ("Traceback (most recent call last)", "SIGABRT", "SIGSEGV", "SIGBUS")


class Tier:
    """`kcp start` in a directory of its own."""

    def __init__(
        self, directory: Path, port: int, shards: int, fronts: int, environment: dict[str, str] | None = None
    ) -> None:
        self.directory, self.port, self.shards, self.fronts = directory, port, shards, fronts
        self.environment = environment or dict(os.environ)
        self.options: list[str] = []  # further ones of `kcp start`
        self.process: subprocess.Popen[bytes] | None = None
        self.log = (directory.parent / f"{directory.name}.log").open("ab")

    def start(self, extra_environment: dict[str, str] | None = None, wait: bool = True) -> None:
        """Without `wait` for a tier that may die before it is ready: then it is started again."""
        command = [sys.executable, "-m", "kcp", "start", "--root-directory", str(self.directory)]
        command += ["--listen", f"127.0.0.1:{self.port}", "--shards", str(self.shards), "--fronts", str(self.fronts)]
        command += self.options
        environment = self.environment | (extra_environment or {})
        while True:
            self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=environment)
            try:
                self.wait_ready()
                return
            except RuntimeError:
                if wait:
                    raise

    def restart(self) -> None:
        self.stop()
        self.start()

    def wait_ready(self, timeout_s: float = 180) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.process is not None and self.process.poll() is not None:
                raise RuntimeError(f"kcp start ended with {self.process.returncode}: see {self.log.name}")
            with contextlib.suppress(OSError, HTTPException, ValueError, TypeError, KeyError, yaml.YAMLError):
                server, _, authority = self.access()
                context = create_default_context(cadata=authority)
                context.check_hostname = False
                with urllib.request.urlopen(f"{server}/readyz", context=context, timeout=5):
                    return
            time.sleep(0.05)
        raise TimeoutError("the tier did not become ready")

    def access(self) -> tuple[str, str, str]:
        """Server URL, token and CA in PEM."""
        config = yaml.safe_load((self.directory / "admin.kubeconfig").read_text())
        cluster = config["clusters"][0]["cluster"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        return f"https://127.0.0.1:{self.port}", config["users"][0]["user"]["token"], authority

    def members(self, kind: str) -> list[psutil.Process]:
        """Processes by kind: front, shard; children of the supervisor."""
        assert self.process is not None
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if f"kcp{kind}" in " ".join(child.cmdline()):
                    found.append(child)
        return found

    def kill(self, kind: str, chance: random.Random) -> str:
        """SIGKILL one front, one shard, the supervisor, or everything; the last two are followed by a new start."""
        assert self.process is not None
        if kind in ("front", "shard"):
            victims = self.members(kind)
            if not victims:
                return f"{kind} (none alive)"
            victim = chance.choice(victims)
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
            return f"{kind} {victim.pid}"
        members = self.members("front") + self.members("shard") if kind == "all" else []
        self.process.kill()
        for member in members:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        self.process.wait()
        self.start()
        return kind

    def kill_everything(self) -> None:
        assert self.process is not None
        members = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        for member in members:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        self.process.wait()
        psutil.wait_procs(members, 10)

    def shard_rows(self) -> list[dict[str, Any]]:
        """What `kcp shards list` says."""
        command = [sys.executable, "-m", "kcp", "shards", "list", "--root-directory", str(self.directory), "-o", "json"]
        asked = subprocess.run(command, capture_output=True, env=self.environment)
        found: list[dict[str, Any]] = json.loads(asked.stdout) if asked.returncode == 0 else []
        return found

    def slots(self) -> list[int]:
        return [int(row["slots"]) for row in self.shard_rows()]

    def wait_shards(self, timeout_s: float = 180) -> None:
        """Until every shard answers."""
        deadline = time.monotonic() + timeout_s
        while len(rows := self.shard_rows()) < self.shards or any(row["objects"] is None for row in rows):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not every shard answers: {rows}")

    def front_counts(self, metric: str) -> float:
        """Sum of a metric over all fronts. They share the port: ask until each process has answered."""
        server, token, authority = self.access()
        context = create_default_context(cadata=authority)
        context.check_hostname = False
        found: dict[str, float] = {}
        for _ in range(200):
            request = urllib.request.Request(f"{server}/metrics", headers={"Authorization": f"Bearer {token}"})
            with urllib.request.urlopen(request, context=context, timeout=10) as answer:
                lines = [line.rpartition(" ") for line in answer.read().decode().splitlines()]
            process = next(value for name, _, value in lines if name == "process_start_time_seconds")
            found[process] = sum(float(value) for name, _, value in lines if name.partition("{")[0] == metric)
            if len(found) == self.fronts:
                return sum(found.values())
        raise TimeoutError(f"only {len(found)} of {self.fronts} fronts answered")

    def crashes(self) -> list[str]:
        """Ends of processes that nobody asked for, by the log: kills are ours, tracebacks and aborts are bugs."""
        lines = Path(self.log.name).read_text(errors="replace").splitlines()
        return [line for line in lines if any(sign in line for sign in CRASHES)]

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)
