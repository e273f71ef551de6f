"""The keys, certificates, tokens and kubeconfig of an installation: made once, renewed in time.

Imported only when needed: cryptography costs 60 ms.
"""

import socket
from collections.abc import Sequence
from pathlib import Path

import yaml

from kcp import certificates, kubeconfig, tokens
from kcp.certificates import Pair, Subject
from kcp.files import make_private_directory, write_private
from kcp.installation import AUTHORITIES, Installation
from kcp.output import Refused
from kcp.programs import internal_addresses

ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104  compared with, not listened on


def make(made: Installation, server: str, hosts: Sequence[str], local: str = "") -> None:
    """Everything a new installation needs, over whatever an interrupted first start left. `local`: as in `refresh`."""
    now = certificates.now_utc()
    make_private_directory(made.pki)
    for name in AUTHORITIES:
        _write_pair(made.pki / name, certificates.make_authority(f"kcp {name} {made.id[:8]}", now))
    known = [tokens.administrator(), tokens.controllers()]
    write_private(made.token_file, tokens.format_tokens(known).encode())
    refresh(made, server, hosts, local)


def refresh(made: Installation, server: str, hosts: Sequence[str], local: str = "") -> list[str]:
    """Renew certificates that need it and make admin.kubeconfig point to `server`; returns what was renewed. `local` is
    where this machine's own processes find the fronts, if not there.

    Called at every start and now and then while serving: fronts read renewed files by themselves.
    """
    subject = Subject("kcp front")
    renewed = ["serving"] if _renew(made.pki, made.pki / "serving", "serving-ca", subject, hosts) else []
    renewed += _write_tls_directories(made)
    _write_kubeconfig(made, server)
    _write_controllers_kubeconfig(made, local or server)
    return renewed


def renew_serving(pki: Path, hosts: Sequence[str]) -> bool:
    """As `refresh`, for a front of another machine that has the serving authority in `pki`."""
    return _renew(pki, pki / "serving", "serving-ca", Subject("kcp front"), hosts)


def _write_tls_directories(made: Installation) -> list[str]:
    """Where other machines may join, every process of this one talks TLS."""
    internal = internal_addresses(made)
    if internal is None:
        return []
    shards = [f"shard-{number}" for number in made.numbers]
    wanted = [(name, Subject(name, unit="shard"), [internal.host]) for name in shards]
    wanted += [(name, Subject(name, unit=name), []) for name in ("front", "admin")]
    authority = (made.pki / "internal-ca.crt").read_bytes()
    renewed = []
    for name, subject, hosts in wanted:
        directory = made.tls_directory(name)
        make_private_directory(directory)
        write_private(directory / "ca.crt", authority)
        # With the authority after it: a process that joins recognises it by its digest.
        if _renew(made.pki, directory / "tls", "internal-ca", subject, hosts, chain=authority):
            renewed.append(name)
    return renewed


def serving_hosts(listen: str, advertised: Sequence[str]) -> list[str]:
    """The names a client may use for the fronts of this machine."""
    hosts = [*advertised, "localhost", "127.0.0.1", "::1", socket.gethostname()]
    return list(dict.fromkeys(hosts if listen in ANY_ADDRESS else [*hosts, listen]))


def _renew(
    pki: Path, path: Path, authority: str, subject: Subject, hosts: Sequence[str] = (), chain: bytes = b""
) -> bool:
    """Issue anew what is missing, short of life or without one of `hosts`. An existing key is kept."""
    now = certificates.now_utc()
    present = _read_pair(path)
    if present and not certificates.needs_renewal(present.certificate, now, hosts):
        return False
    signer = _read_pair(pki / authority)
    if signer is None:
        raise Refused(f"{pki} is damaged: {authority}.crt and {authority}.key do not belong together")
    pair = certificates.issue(signer, subject, now, hosts, present.key if present else b"")
    _write_pair(path, Pair(pair.certificate + chain, pair.key), with_key=not present)
    return True


def _read_pair(path: Path) -> Pair | None:
    """The pair, or None if a file is missing or they do not belong together."""
    try:
        pair = Pair(path.with_suffix(".crt").read_bytes(), path.with_suffix(".key").read_bytes())
    except FileNotFoundError:
        return None
    return pair if certificates.is_pair(*pair) else None


def _write_pair(path: Path, pair: Pair, *, with_key: bool = True) -> None:
    if with_key:
        write_private(path.with_suffix(".key"), pair.key)
    write_private(path.with_suffix(".crt"), pair.certificate)


def _write_kubeconfig(made: Installation, server: str) -> None:
    authority = (made.pki / "serving-ca.crt").read_bytes()
    token = _administrator_token(made.token_file)
    try:
        present = yaml.safe_load(made.kubeconfig.read_bytes())
    except (FileNotFoundError, yaml.YAMLError):
        present = None
    if isinstance(present, dict):
        wanted = kubeconfig.update(present, server, authority, token)
    else:
        wanted = kubeconfig.build(server, authority, token)
    if wanted != present:
        write_private(made.kubeconfig, yaml.safe_dump(wanted, sort_keys=False).encode())


def _write_controllers_kubeconfig(made: Installation, server: str) -> None:
    """An installation older than the controllers has no token for them yet; fronts read it when they start."""
    known = _tokens(made.token_file)
    found = next((each for each in known if each.user == tokens.CONTROLLERS), None)
    if found is None:
        found = tokens.controllers()
        write_private(made.token_file, tokens.format_tokens([*known, found]).encode())
    authority = (made.pki / "serving-ca.crt").read_bytes()
    text = yaml.safe_dump(kubeconfig.build(server, authority, found.token), sort_keys=False).encode()
    path = made.controllers_kubeconfig
    if not path.exists() or path.read_bytes() != text:
        write_private(path, text)


def _tokens(path: Path) -> list[tokens.StaticToken]:
    try:
        return list(tokens.parse_tokens(path.read_text()))
    except ValueError as fault:
        raise Refused(f"{path} is damaged: {fault}") from None


def _administrator_token(path: Path) -> str:
    for each in _tokens(path):
        if "system:masters" in each.groups and each.user != tokens.CONTROLLERS:
            return each.token
    raise Refused(f"{path} is damaged: it holds no token of the group system:masters")
