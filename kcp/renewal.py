"""The internal certificate of a process that has joined: renewed in time, while the process goes on.

With two thirds of its life gone a new one is asked for, of the shard that lets others join, with the key that is
there: one renamed file renews the pair, and the process uses it for whatever it connects next. The call is made by a
process of its own (`python -m kcp.renewal DIRECTORY ROLE`): gRPC's threads must not be in a supervisor that starts
others.
"""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from kcp import certificates
from kcp import member as members
from kcp.files import write_private
from kcp.member import Member
from kcp.output import Refused
from kcp.programs import PYTHON

TIMEOUT_S = 60.0


def renew(member: Member) -> bool:
    """Whether there is a new certificate now; False as long as none is needed. Raises Refused with what was in the way:
    the old one stays, and a later call tries again."""
    if not certificates.needs_renewal(_certificate(member).read_bytes(), certificates.now_utc()):
        return False
    command = [*PYTHON, "kcp.renewal", str(member.root), member.role]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)  # noqa: S603  it is ours
    except subprocess.TimeoutExpired:
        raise Refused(f"cannot renew the certificate of {member.name}: no answer in {TIMEOUT_S:.0f} s") from None
    if done.returncode != 0:
        told = done.stderr.strip().rpartition("\n")[2] or "it ended without a word"
        raise Refused(f"cannot renew the certificate of {member.name}: {told}")
    return True


def _certificate(member: Member) -> Path:
    return member.tls_directory / "tls.crt"


async def ask(member: Member) -> bytes:
    """PEM, of the first shard that can. Raises Refused."""
    from kcpshard.rpc import join_client  # grpc costs 50 ms, which is not needed for months
    from kcpshard.rpc.placement_client import NotKeeper, Unreachable
    from kcpshard.rpc.placement_client import Refused as RefusedByInstallation
    from kcpshard.rpc.transport import read_tls_directory

    tls = read_tls_directory(str(member.tls_directory))
    faults: list[str] = []
    for address in member.shards:
        try:
            fresh = (await join_client.renew(address, tls)).certificate
        except (NotKeeper, RefusedByInstallation, Unreachable) as fault:
            faults.append(f"{address}: {fault}")
            continue
        if certificates.is_pair(fresh, tls.key):
            return fresh
        faults.append(f"{address}: the answer is for another key")
    raise Refused("; ".join(faults) or "no shard is known")


def main(arguments: Sequence[str]) -> int:
    root, role = arguments
    member = members.load(Path(root), role)
    try:
        if member is None:
            raise Refused(f"nothing has joined in {root}")
        write_private(_certificate(member), asyncio.run(ask(member)))
    except (Refused, OSError) as fault:
        print(fault, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
