"""`kcp start`: one machine's installation, set up if need be, served until a signal."""

import asyncio
import os
import resource
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import click

from kcp import credentials
from kcp import installation as installations
from kcp.authentication import authentication_options, front_arguments, shard_arguments
from kcp.directory_lock import lock_directory
from kcp.files import make_private_directory
from kcp.installation import MAX_SHARDS, Installation
from kcp.listening import Reservation, reserve
from kcp.output import Refused, os_sentence
from kcp.programs import (
    NO_AUDIT,
    Audit,
    Logging,
    Program,
    backup_program,
    controllers_program,
    front_program,
    join_address,
    shard_program,
    split_address,
)
from kcp.supervisor import Supervisor

LOG_LEVELS = ["debug", "info", "warning", "error"]


class Address(click.ParamType[tuple[str, int]]):
    """`host:port` as a pair."""

    name = "host:port"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        try:
            return split_address(str(value))
        except ValueError as fault:
            self.fail(str(fault), param, ctx)


@dataclass(frozen=True)
class Options:
    """What the operator asked for; None: as the installation or the machine has it."""

    root: Path
    listen: tuple[str, int]
    advertise: tuple[str, ...]
    shards: int | None
    fronts: int | None
    internal_listen: str  # "": as before
    logging: Logging
    accept_clock: bool
    api_set: str = "minimal"
    controllers: str = "*"
    callout_allow: tuple[str, ...] = ()
    authorization_config: str = ""
    encryption_config: str = ""
    authentication: Mapping[str, object] = field(default_factory=dict)  # option → value, as a command gets them
    audit: Audit = NO_AUDIT
    backup: tuple[str, str, tuple[str, ...]] | None = None  # place, how often, further options
    cluster_controllers: tuple[str, ...] | None = ()  # options of the multi-cluster controllers; None: none run


def _networks(_context: click.Context, _parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    for text in value:
        try:
            ip_network(text)
        except ValueError as fault:
            raise click.BadParameter(str(fault)) from None
    return value


root_option = click.option(
    "--root-directory",
    "root",
    type=click.Path(path_type=Path, file_okay=False),
    default=".kcp",
    show_default=True,
    help="Where the installation keeps its data, keys and kubeconfig.",
)
level_option = click.option(
    "--log-level", type=click.Choice(LOG_LEVELS), default="info", show_default=True, help="The least that is logged."
)
form_option = click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="One line per record."
)


@click.command()
@root_option
@click.option("--listen", type=Address(), default="127.0.0.1:6443", show_default=True, help="Where clients connect.")
@click.option(
    "--advertise",
    multiple=True,
    metavar="HOST",
    help="A further name of this server; the first is in admin.kubeconfig.",
)
@click.option(
    "--shards", type=click.IntRange(1, MAX_SHARDS), help="Shard processes [default: as before, or one per two cores]."
)
@click.option("--fronts", type=click.IntRange(1, 999), help="Front processes [default: one per two cores].")
@click.option(
    "--internal-listen",
    type=Address(),
    metavar="HOST:PORT",
    help="Let processes on other machines join: they join at PORT, shard N listens at PORT + N.",
)
@level_option
@form_option
@click.option(
    "--api-set",
    type=click.Choice(["minimal", "full"]),
    default="minimal",
    show_default=True,
    help="Built-in APIs served: those of a control plane, or all of Kubernetes.",
)
@click.option(
    "--controllers",
    default="*",
    show_default=True,
    metavar="NAMES",
    help="Those that work inside logical clusters, as kube-controller-manager names them; -NAME leaves one out.",
)
@click.option(
    "--callout-allow",
    multiple=True,
    metavar="CIDR",
    callback=_networks,
    help="Addresses that webhooks of tenants may be at although they are not public, or are this machine's.",
)
@click.option(
    "--authorization-config",
    default="",
    metavar="FILE",
    help="An AuthorizationConfiguration: RBAC and webhooks in the order in which they are asked.",
)
@click.option(
    "--encryption-provider-config",
    "encryption",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Which resources are sealed on disk, and with whose keys (an EncryptionConfiguration).",
)
@authentication_options
@click.option(
    "--audit-policy-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Which requests are recorded (an audit.k8s.io/v1 Policy) [default: none].",
)
@click.option(
    "--audit-log-path",
    default="",
    metavar="FILE",
    help="Where, as JSON lines; each front adds its name to FILE's; - is standard output.",
)
@click.option("--audit-log-maxage", type=click.IntRange(0), default=0, metavar="DAYS", help="Of full files; 0: kept.")
@click.option("--audit-log-maxbackup", type=click.IntRange(0), default=0, metavar="N", help="Full files kept; 0: all.")
@click.option("--audit-log-maxsize", type=click.IntRange(1), default=100, metavar="MB", help="Of one file.")
@click.option(
    "--audit-log-mode",
    type=click.Choice(["batch", "blocking", "blocking-strict"]),
    default="batch",
    show_default=True,
    help="blocking: a request goes on when its arrival is on file; -strict: and fails if it cannot be.",
)
@click.option(
    "--audit-webhook-config-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A kubeconfig of the server that records are sent to.",
)
@click.option("--backup-to", default="", metavar="PLACE", help="Make backups: in a directory, or s3://BUCKET/PREFIX.")
@click.option("--backup-every", default="6h", show_default=True, metavar="TIME", help="How often: 30m, 6h, 1d.")
@click.option("--backup-keep", type=click.IntRange(1), metavar="N", help="Of those the newest N [default: all].")
@click.option(
    "--cluster-controllers/--no-cluster-controllers",
    default=True,
    show_default=True,
    help="Register physical clusters and carry workloads to them, where Clusters are defined.",
)
@click.option(
    "--resources-to-sync",
    multiple=True,
    metavar="RESOURCE[.GROUP]",
    help="What a Cluster that names nothing itself is used for [default: pods and deployments.apps].",
)
@click.option("--auto-publish-apis", is_flag=True, help="Offer the APIs of clusters as soon as they are negotiated.")
@click.option("--accept-clock", is_flag=True, help="Start although the clock is far behind the newest revision.")
def start(
    root: Path,
    listen: tuple[str, int],
    advertise: tuple[str, ...],
    shards: int | None,
    fronts: int | None,
    internal_listen: tuple[str, int] | None,
    log_level: str,
    log_format: str,
    accept_clock: bool,
    api_set: str,
    controllers: str,
    callout_allow: tuple[str, ...],
    authorization_config: str,
    encryption: Path | None,
    audit_policy_file: Path | None,
    audit_log_path: str,
    audit_log_maxage: int,
    audit_log_maxbackup: int,
    audit_log_maxsize: int,
    audit_log_mode: str,
    audit_webhook_config_file: Path | None,
    backup_to: str,
    backup_every: str,
    backup_keep: int | None,
    cluster_controllers: bool,
    resources_to_sync: tuple[str, ...],
    auto_publish_apis: bool,
    **authentication: object,
) -> None:
    """Start kcp on this machine: shards, fronts and, the first time, everything they need.

    Runs until SIGTERM or Ctrl-C, which finish the requests in flight; a second signal ends it at once.
    """
    logging = Logging(log_level, log_format)
    internal = _internal(*internal_listen) if internal_listen else ""
    serve(
        Options(
            root.absolute(),
            listen,
            advertise,
            shards,
            fronts,
            internal,
            logging,
            accept_clock,
            api_set,
            controllers,
            callout_allow,
            authorization_config and str(Path(authorization_config).absolute()),
            str(encryption.absolute()) if encryption else "",
            authentication,
            _audit(
                audit_policy_file,
                audit_log_path,
                audit_webhook_config_file,
                {
                    "maxage": audit_log_maxage,
                    "maxbackup": audit_log_maxbackup,
                    "maxsize": audit_log_maxsize,
                    "mode": audit_log_mode,
                },
            ),
            _backup(backup_to, backup_every, backup_keep),
            _controller_options(resources_to_sync, auto_publish_apis) if cluster_controllers else None,
        )
    )


def _backup(place: str, every: str, keep: int | None) -> tuple[str, str, tuple[str, ...]] | None:
    if not place:
        return None
    where = place if place.startswith("s3://") else str(Path(place).absolute())
    return where, every, (() if keep is None else ("--keep", str(keep)))


def _controller_options(resources: tuple[str, ...], auto_publish: bool) -> tuple[str, ...]:
    named = ("--resources-to-sync", *resources) if resources else ()
    return (*named, *(("--auto-publish-apis",) if auto_publish else ()))


def _audit(policy: Path | None, log_path: str, webhook: Path | None, log: Mapping[str, object]) -> Audit:
    if policy is None:
        if log_path or webhook is not None:
            raise Refused("audit records need --audit-policy-file: without a policy nothing is recorded")
        return NO_AUDIT
    if not log_path and webhook is None:
        raise Refused("--audit-policy-file needs --audit-log-path or --audit-webhook-config-file")
    options = [each for name, value in log.items() for each in (f"--audit-log-{name}", str(value))]
    if webhook is not None:
        options += ["--audit-webhook-config-file", str(webhook.absolute())]
    path = log_path if log_path in ("", "-") else str(Path(log_path).absolute())
    return Audit(str(policy.absolute()), path, tuple(options))


def serve(options: Options) -> None:
    """Set up, then supervise until stopped. Raises Refused; what a refused first start made is gone again."""
    with installations.first_start_undone(options.root):
        lock = lock_directory(options.root)
        reserved = reserve(*options.listen)
        made = prepare(options, reserved)
    programs = _programs(made, options, reserved)
    allow_many_descriptors()
    hosts = _hosts(options)

    def present_programs() -> Sequence[Program]:
        """As the installation is now: `kcp shards add` and `remove` change it while it runs."""
        as_it_is = replace(options, shards=None)
        return _programs(prepare(as_it_is, reserved), as_it_is, reserved)

    supervisor = Supervisor(programs, options.logging.form, (lock.descriptor,), present_programs)
    asyncio.run(
        supervisor.run(
            when_ready=lambda: click.echo(_usage(made, options, reserved), nl=False),
            periodically=lambda: _refresh(made, _server(options, reserved), hosts, _local_server(options, reserved)),
        )
    )


def prepare(options: Options, reserved: Reservation) -> Installation:
    """The installation as this start needs it on disk. The caller holds the directory's lock."""
    server, hosts, local = _server(options, reserved), _hosts(options), _local_server(options, reserved)
    present = installations.load(options.root)
    if present is None:
        made = installations.plan(options.root, options.shards or default_processes(), options.internal_listen)
        credentials.make(made, server, hosts, local)
        installations.save(made)
    else:
        internal = options.internal_listen or present.internal_listen
        made = installations.adapt(present, options.shards or len(present.numbers), internal)
        credentials.refresh(made, server, hosts)
    make_private_directory(made.run_directory)
    if made.run_directory.stat().st_uid != os.getuid():
        raise Refused(f"{made.run_directory}, the place for sockets, belongs to another user")
    for number in made.numbers:
        make_private_directory(made.shard_directory(number))
        make_private_directory(made.run_directory / f"shard-{number}")
    return made


def default_processes() -> int:
    """Of each kind: shards and fronts take turns to be busy, so that together they fill the machine."""
    return max(1, len(os.sched_getaffinity(0)) // 2)


def _programs(made: Installation, options: Options, reserved: Reservation) -> Sequence[Program]:
    endpoint = _endpoint(options, reserved)
    shards = [
        shard_program(
            made,
            number,
            options.logging,
            options.accept_clock,
            options.api_set,
            options.controllers,
            options.callout_allow,
            endpoint,
            options.authorization_config,
            options.encryption_config,
            shard_arguments(options.authentication),
            _server(options, reserved),
        )
        for number in made.numbers
    ]
    fronts = [
        front_program(
            made, number, reserved.listen, options.logging, front_arguments(options.authentication), options.audit
        )
        for number in range(1, (options.fronts or default_processes()) + 1)
    ]
    backups = [backup_program(made, *options.backup)] if options.backup else []
    late = []
    if options.cluster_controllers is not None:
        late.append(controllers_program(made, options.logging, options.cluster_controllers))
    return [*shards, *fronts, *backups, *late]  # in the order they are started: shards take longer


def _hosts(options: Options) -> list[str]:
    return credentials.serving_hosts(options.listen[0], options.advertise)


def _server(options: Options, reserved: Reservation) -> str:
    return _url(options.advertise[0] if options.advertise else options.listen[0], reserved)


def _local_server(options: Options, reserved: Reservation) -> str:
    """What is advertised may lead to another machine, or nowhere from here."""
    return _url(options.listen[0], reserved)


def _url(host: str, reserved: Reservation) -> str:
    if host in credentials.ANY_ADDRESS:  # this machine can use its own
        host = "::1" if host == "::" else "127.0.0.1"
    return f"https://{join_address(host, reserved.port)}"


def _endpoint(options: Options, reserved: Reservation) -> str:
    """By which address clients inside a logical cluster reach the fronts; "" if only names are told."""
    for host in (*options.advertise, options.listen[0]):
        try:
            address = ip_address(host)
        except ValueError:
            continue
        if not address.is_unspecified:
            return join_address(host, reserved.port)
    return ""


def _internal(host: str, port: int) -> str:
    if host in credentials.ANY_ADDRESS:
        raise Refused("--internal-listen needs an address or name by which other machines reach this one")
    if not 0 < port <= (most := 65535 - 2 * MAX_SHARDS):
        raise Refused(f"--internal-listen needs a port between 1 and {most}: shard N listens N above it")
    return join_address(host, port)


def _refresh(made: Installation, server: str, hosts: Sequence[str], local: str) -> None:
    try:
        credentials.refresh(made, server, hosts, local)
    except OSError as fault:
        raise Refused(os_sentence("cannot renew certificates", fault)) from fault


def allow_many_descriptors() -> None:
    """Each watch is a connection; the soft limit of 1 024 is from the days of select()."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _usage(made: Installation, options: Options, reserved: Reservation) -> str:
    fronts = options.fronts or default_processes()
    return f"""\
kcp is ready at {_server(options, reserved)} (shards: {len(made.numbers)}, fronts: {fronts}). In another terminal:

    export KUBECONFIG={shlex.quote(str(made.kubeconfig))}
    kubectl get namespaces
    kubectl config use-context user   # another logical cluster; there are root, admin and user

Ctrl-C stops it.
"""
