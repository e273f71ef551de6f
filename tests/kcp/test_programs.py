from dataclasses import replace
from pathlib import Path

import pytest

from kcp.installation import Installation
from kcp.programs import (
    NO_AUDIT,
    Audit,
    Logging,
    backup_program,
    controllers_program,
    front_program,
    shard_program,
    split_address,
)

MADE = Installation(Path("/x/.kcp"), "id", 2, 3)


def options(arguments: tuple[str, ...]) -> str:
    return " ".join(arguments[arguments.index("-m") + 1 :])


def test_a_shard_is_told_its_place() -> None:
    assert options(shard_program(MADE, 2, Logging()).arguments) == (
        "kcpshard --data /x/.kcp/shard-2/data --number 2 --initial-shards 2"
        " --front-socket /x/.kcp/run/shard-2/front.sock --admin-socket /x/.kcp/run/shard-2/admin.sock"
        " --sync-socket /x/.kcp/run/shard-2/sync.sock"
        " --peer unix:/x/.kcp/run/shard-1/admin.sock --peer unix:/x/.kcp/run/shard-3/admin.sock"
        " --root-ca-file /x/.kcp/pki/serving-ca.crt"
        " --log-level info --log-format text"
    )


def test_the_first_shard_of_several_machines_lets_others_join() -> None:
    made = replace(MADE, internal_listen="10.0.0.1:7000")
    first, second = (options(shard_program(made, n, Logging(), True).arguments) for n in (1, 2))
    assert (
        " --accept-clock --listen 10.0.0.1:7001 --sync-listen 10.0.0.1:8000 --tls-directory /x/.kcp/tls/shard-1"
        in first
    )
    assert " --join-listen 10.0.0.1:7000 --pki /x/.kcp/pki " in first + " "
    assert " --listen 10.0.0.1:7002" in second
    assert "--join-listen" not in second


def test_a_front_is_told_all_shards_and_shares_its_port() -> None:
    assert options(front_program(MADE, 1, "127.0.0.1:6443", Logging("debug", "json")).arguments) == (
        "kcpfront --name front-1 --listen 127.0.0.1:6443 --reuse-port --pki /x/.kcp/pki"
        " --token-file /x/.kcp/tokens.csv --shard unix:/x/.kcp/run/shard-1/front.sock"
        " --shard unix:/x/.kcp/run/shard-2/front.sock --shard unix:/x/.kcp/run/shard-3/front.sock"
        " --log-level debug --log-format json"
    )


def test_a_front_of_several_machines_has_a_certificate() -> None:
    made = replace(MADE, internal_listen="10.0.0.1:7000")
    assert " --tls-directory /x/.kcp/tls/front" in options(front_program(made, 1, "x:1", Logging()).arguments)


def test_backups_are_made_while_shards_serve() -> None:
    program = backup_program(MADE, "s3://b/p", "6h", ("--keep", "4"))
    assert options(program.arguments) == (
        "kcp backup create --root-directory /x/.kcp --place s3://b/p --every 6h --keep 4 --supervised"
    )
    assert program.stage < shard_program(MADE, 1, Logging()).stage


def test_the_multi_cluster_controllers_come_last_and_go_first() -> None:
    program = controllers_program(MADE, Logging(), ("--auto-publish-apis",))
    assert options(program.arguments).startswith(
        "kcpsyncer controllers --kubeconfig /x/.kcp/controllers.kubeconfig --sync unix:/x/.kcp/run/shard-1/sync.sock"
    )
    assert "--auto-publish-apis" in program.arguments and "--sync-authority" not in program.arguments
    program = controllers_program(replace(MADE, internal_listen="10.0.0.1:7000"), Logging())
    assert "unix:/x/.kcp/run/shard-1/sync.sock 10.0.0.1:8000" in program.arguments
    assert options(program.arguments).count("--sync-authority /x/.kcp/pki/internal-ca.crt") == 1
    assert program.late and program.stage < front_program(MADE, 1, "127.0.0.1:1", Logging()).stage


def test_fronts_stop_before_shards() -> None:
    assert front_program(MADE, 1, "x:1", Logging()).stage < shard_program(MADE, 1, Logging()).stage


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:6443", ("127.0.0.1", 6443)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:6443", ("::1", 6443)),
        ("0.0.0.0:65535", ("0.0.0.0", 65535)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert split_address(text) == address


@pytest.mark.parametrize("text", ["", "localhost", ":6443", "localhost:", "localhost:x", "::1:6443", "a:65536", "a:-1"])
def test_what_is_not_an_address(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        split_address(text)


def test_a_shard_is_told_an_api_set_other_than_its_own_default() -> None:
    assert " --api-set full" in options(shard_program(MADE, 1, Logging(), api_set="full").arguments)
    assert "--api-set" not in options(shard_program(MADE, 1, Logging()).arguments)


def test_controllers_are_left_to_others() -> None:
    told = shard_program(MADE, 1, Logging(), controllers="*,-garbagecollector").arguments
    assert "--controllers=*,-garbagecollector" in told


def test_ranges_that_webhooks_may_be_at_are_passed_on() -> None:
    told = options(shard_program(MADE, 1, Logging(), callout_allow=("10.0.0.0/8",)).arguments)
    assert " --callout-allow 10.0.0.0/8" in told


def test_each_front_records_into_a_file_of_its_own() -> None:
    audit = Audit("/p.yaml", "/var/log/audit.log", ("--audit-log-maxsize", "10"))
    found = options(front_program(MADE, 2, "x:1", Logging(), audit=audit).arguments)
    assert "--audit-policy-file /p.yaml --audit-log-path /var/log/audit-front-2.log --audit-log-maxsize 10" in found
    assert Audit("/p.yaml", "-").of_front(1)[-1] == "-"
    assert NO_AUDIT.of_front(1) == ()
