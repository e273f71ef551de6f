"""`kcp shard` and `kcp front`: one process of an installation on another machine, joined once by a token.

The new process makes its own key; the first shard signs its certificate. Afterwards the directory is all it needs.
"""

import asyncio
import base64
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from kcp import certificates, credentials, renewal
from kcp import member as members
from kcp.authentication import authentication_options, front_arguments
from kcp.directory_lock import DirectoryLock, lock_directory
from kcp.files import make_private_directory, write_private
from kcp.installation import MAX_SHARDS, first_start_undone
from kcp.listening import reserve
from kcp.member import Member
from kcp.output import Refused
from kcp.programs import PYTHON, Logging, Program, join_address, split_address
from kcp.start import Address, allow_many_descriptors, form_option, level_option, root_option
from kcp.supervisor import Supervisor
from kcp.verify import verify

if TYPE_CHECKING:
    from kcpshard.rpc import shard_pb2 as pb

# What a front is given when it joins; anything else in the answer is not ours to write.
FRONT_FILES = {"serving-ca.crt", "serving-ca.key", "client-ca.crt", "tokens.csv"}

join_option = click.option("--join", "token", metavar="TOKEN", help="From `kcp token create`; needed the first time.")
server_option = click.option("--server", type=Address(), help="Where the installation lets others join.")
name_option = click.option("--name", help="Of this process in the installation [default: by number or host name].")


@dataclass(frozen=True)
class Options:
    root: Path
    token: str | None
    server: tuple[str, int] | None
    listen: tuple[str, int] | None
    name: str
    logging: Logging
    arguments: tuple[str, ...] = ()  # further ones of the process


@click.group(invoke_without_command=True)
@join_option
@server_option
@click.option("--listen", type=Address(), help="The address by which fronts and shards reach this one.")
@name_option
@root_option
@level_option
@form_option
@click.pass_context
def shard(
    context: click.Context,
    token: str | None,
    server: tuple[str, int] | None,
    listen: tuple[str, int] | None,
    name: str | None,
    root: Path,
    log_level: str,
    log_format: str,
) -> None:
    """Run one more shard, on another machine than the one where the installation began.

    The first time with --join, --server and --listen; afterwards --root-directory is enough.
    """
    if context.invoked_subcommand is None:
        _serve("shard", Options(root.absolute(), token, server, listen, name or "", Logging(log_level, log_format)))


shard.add_command(verify)


@click.command()
@join_option
@server_option
@click.option("--listen", type=Address(), help="Where clients connect.")
@click.option("--advertise", multiple=True, metavar="HOST", help="A further name of this server.")
@name_option
@root_option
@level_option
@form_option
@authentication_options
def front(
    token: str | None,
    server: tuple[str, int] | None,
    listen: tuple[str, int] | None,
    advertise: Sequence[str],
    name: str | None,
    root: Path,
    log_level: str,
    log_format: str,
    **authentication: object,
) -> None:
    """Run one more front, on another machine than the one where the installation began.

    The first time with --join, --server and --listen; afterwards --root-directory is enough.
    """
    options = Options(
        root.absolute(),
        token,
        server,
        listen,
        name or _host_name("front"),
        Logging(log_level, log_format),
        front_arguments(authentication),
    )
    _serve("front", options, advertise)


def _serve(role: str, options: Options, advertise: Sequence[str] = ()) -> None:
    with first_start_undone(options.root, "member.json"):
        lock = lock_directory(options.root)
        joined = members.load(options.root, role) or _join(role, options)
        member = _move(joined, options.listen)
        if role == "front":
            hosts = credentials.serving_hosts(split_address(member.listen)[0], advertise)
            credentials.renew_serving(member.pki, hosts)
    _check_certificate(member)
    _run(member, options, lock, hosts if role == "front" else ())


def _run(member: Member, options: Options, lock: DirectoryLock, hosts: Sequence[str]) -> None:
    allow_many_descriptors()

    def renew() -> None:
        if member.role == "front":
            credentials.renew_serving(member.pki, hosts)
        if renewal.renew(member):
            click.echo(f"kcp: the certificate of {member.name} has been renewed", err=True)

    program = _front_program(member, options) if member.role == "front" else _shard_program(member, options)
    supervisor = Supervisor([program], options.logging.form, inherit=(lock.descriptor,))
    asyncio.run(supervisor.run(lambda: click.echo(f"{member.name} is ready on {member.listen}"), renew))


def _join(role: str, options: Options) -> Member:
    """Exchange the token for a certificate and write down everything that later starts need."""
    from kcpshard.rpc import join_client  # grpc costs 50 ms, which only the first start needs
    from kcpshard.rpc.placement_client import Refused as RefusedByInstallation
    from kcpshard.rpc.placement_client import Unreachable

    if not options.token or not options.server or not options.listen:
        raise Refused(f"{options.root} has not joined yet: --join, --server and --listen are needed")
    hosts = [options.listen[0]] if role == "shard" else []
    if role == "shard" and options.listen[0] in credentials.ANY_ADDRESS:
        raise Refused("--listen needs an address or name by which other machines reach this shard")
    reserve(*options.listen).close()  # before the token is used up
    server = join_address(*options.server)
    try:
        key, answer = asyncio.run(join_client.join(server, options.token, role, options.name, hosts))
    except (RefusedByInstallation, Unreachable) as fault:
        raise Refused(f"cannot join: {fault}") from None

    shards = tuple(filter(None, (_network_address(entry, role) for entry in answer.map.shards)))
    name = f"shard-{answer.shard}" if role == "shard" else options.name
    member = Member(options.root, role, name, answer.shard, join_address(*options.listen), shards)
    make_private_directory(member.tls_directory)
    write_private(member.tls_directory / "tls.key", key)
    write_private(member.tls_directory / "tls.crt", answer.certificate)
    write_private(member.tls_directory / "ca.crt", answer.authorities)
    if role == "front":
        _write_front_files(member, answer.front_files)
    members.save(member)
    return member


def _network_address(entry: "pb.ShardEntry", role: str) -> str:
    """How another machine reaches that shard; "" if it cannot."""
    known = entry.admin_address if role == "shard" else entry.address
    return next((each for each in known.split() if not each.startswith("unix:")), "")


def _write_front_files(member: Member, raw: bytes) -> None:
    files = {name: base64.b64decode(content) for name, content in orjson.loads(raw).items()}
    if missing := FRONT_FILES - set(files):
        raise Refused(f"cannot join: the installation did not send {', '.join(sorted(missing))}")
    make_private_directory(member.pki)
    for name in FRONT_FILES:
        write_private((member.root if name == "tokens.csv" else member.pki) / name, files[name])


def _move(member: Member, listen: tuple[str, int] | None) -> Member:
    """A front may listen elsewhere at any start; a shard's certificate names its address."""
    wanted = join_address(*listen) if listen else member.listen
    if wanted == member.listen:
        return member
    if member.role == "shard":
        raise Refused(f"{member.name} joined with the address {member.listen}: its certificate is for no other")
    moved = Member(member.root, member.role, member.name, member.number, wanted, member.shards)
    members.save(moved)
    return moved


def _check_certificate(member: Member) -> None:
    """Renewed at the start if that is due; what is in the way ends nothing as long as the certificate is valid."""
    left = certificates.time_left((member.tls_directory / "tls.crt").read_bytes(), certificates.now_utc())
    if left.total_seconds() <= 0:
        raise Refused(f"the certificate of {member.name} has expired: join again in another directory")
    try:
        renewal.renew(member)
    except Refused as fault:
        click.echo(f"kcp: {fault}; it expires in {left.days} days", err=True)


def _shard_program(member: Member, options: Options) -> Program:
    run = member.root / "run"
    make_private_directory(run)
    arguments = [*PYTHON, "kcpshard", "--data", str(member.root / "data"), "--number", str(member.number)]
    arguments += ["--initial-shards", "1"]  # only the first shard acts on it
    for listener in ("front", "admin", "sync"):
        arguments += [f"--{listener}-socket", str(run / f"{listener}.sock")]
    for peer in member.shards:
        arguments += ["--peer", peer]
    host, port = split_address(member.listen)
    if port + MAX_SHARDS <= 65535:
        arguments += ["--sync-listen", join_address(host, port + MAX_SHARDS)]
    arguments += ["--listen", member.listen, "--tls-directory", str(member.tls_directory)]
    return Program(member.name, (*arguments, *options.logging.options()))


def _front_program(member: Member, options: Options) -> Program:
    arguments = [*PYTHON, "kcpfront", "--name", member.name, "--listen", member.listen]
    arguments += ["--pki", str(member.pki), "--token-file", str(member.token_file)]
    for address in member.shards:
        arguments += ["--shard", address]
    arguments += ["--tls-directory", str(member.tls_directory), *options.arguments]
    return Program(member.name, (*arguments, *options.logging.options()))


def _host_name(role: str) -> str:
    """`front-HOST`, with what a name in a certificate may have."""
    host = re.sub(r"[^-a-z0-9.]", "-", socket.gethostname().lower()).strip("-.")
    return f"{role}-{host}"[:63].rstrip("-.")
