"""What a shard process is told on its command line."""

import argparse
from collections.abc import Sequence
from ipaddress import ip_address
from typing import NamedTuple

from kcpshard.api.service_accounts import DEFAULT_ISSUER
from kcpshard.authorization.configuration import InvalidConfiguration, Step, read_configuration
from kcpshard.callouts.addresses import Network, parse_networks
from kcpshard.controllers.switches import enabled


class Options(NamedTuple):
    data: str  # directory; unused with the memory engine
    number: int
    initial_shards: int
    front_socket: str
    admin_socket: str
    sync_socket: str
    peers: tuple[str, ...]
    accept_clock: bool
    listen: str
    tls_directory: str
    join_listen: str
    pki: str
    engine: str
    api_set: str
    endpoint: str
    controllers: str
    root_ca_file: str
    encryption_provider_config: str
    callout_allow: tuple[Network, ...]
    log_level: str
    log_format: str
    service_account_issuer: str = DEFAULT_ISSUER
    api_audiences: tuple[str, ...] = ()
    url: str = ""
    sync_listen: str = ""
    authorization: tuple[Step, ...] = ()  # who is asked, in order; empty: RBAC alone


def parse(arguments: Sequence[str]) -> Options:
    """Exits with a sentence for options that do not fit together."""
    parser = argparse.ArgumentParser(prog="python -m kcpshard", description="Run one shard.", allow_abbrev=False)
    parser.add_argument("--data", default="", metavar="DIR", help="data directory; made if it is not there")
    parser.add_argument("--number", type=int, required=True, help="which shard of the installation this is, from 1")
    parser.add_argument("--initial-shards", type=int, default=1, help="shards the installation began with")
    parser.add_argument("--front-socket", required=True, metavar="PATH", help="unix socket for fronts")
    parser.add_argument("--admin-socket", required=True, metavar="PATH", help="unix socket for shards, administrators")
    parser.add_argument("--sync-socket", required=True, metavar="PATH", help="unix socket for syncers")
    parser.add_argument("--peer", action="append", default=[], metavar="ADDRESS", help="admin address of another shard")
    parser.add_argument("--accept-clock", action="store_true", help="serve although revisions are ahead of the clock")
    parser.add_argument("--listen", default="", metavar="HOST:PORT", help="for fronts and shards on other machines")
    parser.add_argument("--sync-listen", default="", metavar="HOST:PORT", help="for agents of physical clusters")
    parser.add_argument("--tls-directory", default="", metavar="DIR", help="with ca.crt, tls.crt and tls.key")
    parser.add_argument("--join-listen", default="", metavar="HOST:PORT", help="for new processes with a join token")
    parser.add_argument("--pki", default="", metavar="DIR", help="the installation's pki directory, for joining")
    parser.add_argument("--engine", choices=["rocksdb", "memory"], default="rocksdb")
    parser.add_argument("--api-set", choices=["minimal", "full"], default="minimal", help="built-in APIs served")
    parser.add_argument(
        "--endpoint",
        default="",
        metavar="IP:PORT",
        help="where the fronts are for clients inside a logical cluster: the endpoint of its Service kubernetes",
    )
    parser.add_argument("--url", default="", metavar="URL", help="where the fronts are: the URLs of workspaces")
    parser.add_argument(
        "--controllers",
        default="*",
        metavar="NAMES",
        help="those inside logical clusters that run: * for all, name, or -name for not this one",
    )
    parser.add_argument("--root-ca-file", default="", metavar="FILE", help="what kube-root-ca.crt shall hold")
    parser.add_argument(
        "--callout-allow",
        action="append",
        default=[],
        metavar="CIDR",
        help="addresses that webhooks of tenants may be at although they are not public, or are ours",
    )
    parser.add_argument("--service-account-issuer", default=DEFAULT_ISSUER, metavar="URL", help="iss of tokens")
    parser.add_argument("--api-audiences", default="", metavar="A,B", help="whom tokens are for (default: the issuer)")
    parser.add_argument(
        "--authorization-config",
        default="",
        metavar="FILE",
        help="an AuthorizationConfiguration; without one RBAC decides",
    )
    parser.add_argument(
        "--encryption-provider-config",
        default="",
        metavar="FILE",
        help="which resources are sealed on disk, and with whose keys (EncryptionConfiguration)",
    )
    parser.add_argument("--log-level", choices=["debug", "info", "warning", "error"], default="info")
    parser.add_argument("--log-format", choices=["text", "json"], default="text")
    found = parser.parse_args(arguments)
    found.peers = tuple(found.peer)
    del found.peer
    try:
        enabled(found.controllers)
    except ValueError as error:
        parser.error(f"--controllers: {error}")
    try:
        found.callout_allow = parse_networks(found.callout_allow)
    except ValueError as error:
        parser.error(f"--callout-allow: {error}")
    found.api_audiences = tuple(filter(None, map(str.strip, found.api_audiences.split(","))))
    path = vars(found).pop("authorization_config")
    try:
        found.authorization = tuple(read_configuration(path)) if path else ()
    except InvalidConfiguration as error:
        parser.error(f"--authorization-config: {error}")
    if found.endpoint and not _is_endpoint(found.endpoint):
        parser.error("--endpoint needs an IP address and a port")
    if found.engine == "rocksdb" and not found.data:
        parser.error("--data is needed")
    if (found.listen or found.join_listen or found.sync_listen) and not found.tls_directory:
        parser.error("--listen, --join-listen and --sync-listen need --tls-directory")
    if found.join_listen and not found.pki:
        parser.error("--join-listen needs --pki")
    return Options(**vars(found))


def _is_endpoint(text: str) -> bool:
    host, _, port = text.rpartition(":")
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return port.isdecimal() and 0 < int(port) < 65536
