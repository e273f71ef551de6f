"""The processes of an installation: how each is started, and in which order they stop."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kcp.installation import MAX_SHARDS, Installation

# -P keeps the current directory off the module path: whoever can write there must not become us.
PYTHON = (sys.executable, "-P", "-m")


@dataclass(frozen=True)
class Program:
    """One process to keep running. Those with a lower `stage` are stopped, and have ended, before the next. A `late`
    one is started when the others are ready, and nobody waits for it."""

    name: str
    arguments: tuple[str, ...]
    stage: int = 0
    late: bool = False


@dataclass(frozen=True)
class Logging:
    level: str = "info"
    form: str = "text"

    def options(self) -> tuple[str, ...]:
        return ("--log-level", self.level, "--log-format", self.form)


class InternalAddresses(NamedTuple):
    """Where this machine's shards listen for processes on other machines: joining at `port`, shard N at `port` + N, and
    for agents of physical clusters MAX_SHARDS above that."""

    host: str
    port: int

    def shard(self, number: int) -> str:
        return join_address(self.host, self.port + number)

    def agents(self, number: int) -> str:
        return join_address(self.host, self.port + MAX_SHARDS + number)

    def joining(self) -> str:
        return join_address(self.host, self.port)


def internal_addresses(installation: Installation) -> InternalAddresses | None:
    listen = installation.internal_listen
    return InternalAddresses(*split_address(listen)) if listen else None


def shard_program(
    installation: Installation,
    number: int,
    logging: Logging,
    accept_clock: bool = False,
    api_set: str = "minimal",
    controllers: str = "*",
    callout_allow: Sequence[str] = (),
    endpoint: str = "",
    authorization_config: str = "",
    encryption_config: str = "",
    authentication: Sequence[str] = (),
    url: str = "",
) -> Program:
    arguments = [*PYTHON, "kcpshard", "--data", str(installation.shard_directory(number) / "data")]
    arguments += ["--number", str(number), "--initial-shards", str(installation.initial_shards)]
    for listener in ("front", "admin", "sync"):
        arguments += [f"--{listener}-socket", str(shard_socket(installation, number, listener))]
    for peer in installation.numbers:
        if peer != number:
            arguments += ["--peer", f"unix:{shard_socket(installation, peer, 'admin')}"]
    arguments += ["--root-ca-file", str(installation.pki / "serving-ca.crt")]
    if accept_clock:
        arguments.append("--accept-clock")
    if api_set != "minimal":
        arguments += ["--api-set", api_set]
        if endpoint:
            arguments += ["--endpoint", endpoint]
    if url:
        arguments += ["--url", url]
    if controllers != "*":
        # One word: it may begin with a dash.
        arguments.append(f"--controllers={controllers}")
    if encryption_config:
        arguments += ["--encryption-provider-config", encryption_config]
    for network in callout_allow:
        arguments += ["--callout-allow", network]
    if authorization_config:
        arguments += ["--authorization-config", authorization_config]
    arguments += authentication
    if internal := internal_addresses(installation):
        directory = installation.tls_directory(f"shard-{number}")
        arguments += ["--listen", internal.shard(number), "--sync-listen", internal.agents(number)]
        arguments += ["--tls-directory", str(directory)]
        if number == min(installation.numbers):
            arguments += ["--join-listen", internal.joining(), "--pki", str(installation.pki)]
    return Program(f"shard-{number}", (*arguments, *logging.options()), stage=1)


class Audit(NamedTuple):
    """The options of kcpfront with these names. Each front has a log of its own: processes cannot share a file that
    they rename."""

    policy_file: str = ""
    log_path: str = ""
    options: tuple[str, ...] = ()  # further ones, as they are

    def of_front(self, number: int) -> tuple[str, ...]:
        if not self.policy_file:
            return ()
        log = ("--audit-log-path", _numbered(self.log_path, number)) if self.log_path else ()
        return ("--audit-policy-file", self.policy_file, *log, *self.options)


def _numbered(path: str, number: int) -> str:
    """audit.log → audit-front-1.log"""
    if path == "-":
        return path
    found = Path(path)
    return str(found.with_name(f"{found.stem}-front-{number}{found.suffix}"))


NO_AUDIT = Audit()


def front_program(
    installation: Installation,
    number: int,
    listen: str,
    logging: Logging,
    authentication: Sequence[str] = (),
    audit: Audit = NO_AUDIT,
) -> Program:
    arguments = [*PYTHON, "kcpfront", "--name", f"front-{number}", "--listen", listen, "--reuse-port"]
    arguments += ["--pki", str(installation.pki), "--token-file", str(installation.token_file)]
    for shard in installation.numbers:
        arguments += ["--shard", f"unix:{shard_socket(installation, shard, 'front')}"]
    if installation.internal_listen:
        arguments += ["--tls-directory", str(installation.tls_directory("front"))]
    arguments += authentication
    arguments += audit.of_front(number)
    return Program(f"front-{number}", (*arguments, *logging.options()), stage=0)


def backup_program(installation: Installation, place: str, every: str, options: Sequence[str]) -> Program:
    arguments = [*PYTHON, "kcp", "backup", "create", "--root-directory", str(installation.root), "--place", place]
    return Program("backup", (*arguments, "--every", every, *options, "--supervised"), stage=0)


def controllers_program(installation: Installation, logging: Logging, options: Sequence[str] = ()) -> Program:
    """The multi-cluster controllers, as a client of the fronts."""
    arguments = [
        *PYTHON,
        "kcpsyncer",
        "controllers",
        "--kubeconfig",
        str(installation.controllers_kubeconfig),
    ]
    internal = internal_addresses(installation)
    for number in installation.numbers:
        address = f"unix:{shard_socket(installation, number, 'sync')}"
        arguments += ["--sync", f"{address} {internal.agents(number)}" if internal else address]
    if internal:
        arguments += ["--sync-authority", str(installation.pki / "internal-ca.crt")]
    arguments += options
    return Program("controllers", (*arguments, *logging.options()), stage=-1, late=True)


def shard_socket(installation: Installation, number: int, listener: str) -> Path:
    return installation.run_directory / f"shard-{number}" / f"{listener}.sock"


def join_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_address(text: str) -> tuple[str, int]:
    """`host:port`, `[::1]:port`; raises ValueError for anything else."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is not host:port")
    bracketed = host.startswith("[") and host.endswith("]")
    if ":" in host and not bracketed:
        raise ValueError(f"{text!r} is not [address]:port")
    return (host[1:-1] if bracketed else host), int(port)


def names(programs: Sequence[Program]) -> str:
    return ", ".join(program.name for program in programs)
