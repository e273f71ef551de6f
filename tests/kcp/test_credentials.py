import ssl
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from kcp import certificates, credentials
from kcp.installation import Installation, plan
from kcp.output import Refused

SERVER, HOSTS = "https://127.0.0.1:6443", ["localhost", "127.0.0.1"]


@pytest.fixture
def made(tmp_path: Path) -> Installation:
    result = plan(tmp_path, 1)
    credentials.make(result, SERVER, HOSTS)
    return result


def content(made: Installation) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in made.root.rglob("*") if path.is_file()}


def test_everything_is_for_the_owner_only(made: Installation) -> None:
    for path in made.root.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_a_second_refresh_changes_nothing(made: Installation) -> None:
    before = content(made)
    assert credentials.refresh(made, SERVER, HOSTS) == []
    assert content(made) == before


def test_the_kubeconfig_has_the_authority_and_the_token_of_the_installation(made: Installation) -> None:
    document = yaml.safe_load(made.kubeconfig.read_text())
    assert document["users"][0]["user"]["token"] == made.token_file.read_text().split(",")[0]
    ssl.create_default_context(cadata=(made.pki / "serving-ca.crt").read_text())


def test_an_older_installation_gets_a_token_for_the_controllers(made: Installation) -> None:
    first = made.token_file.read_text().splitlines()[0]
    made.token_file.write_text(first + "\n")
    made.controllers_kubeconfig.unlink()
    credentials.refresh(made, SERVER, HOSTS)
    kept, added = made.token_file.read_text().splitlines()
    assert kept == first and ",system:kcp:controllers," in added
    document = yaml.safe_load(made.controllers_kubeconfig.read_text())
    assert document["users"][0]["user"]["token"] == added.split(",")[0]


def test_the_controllers_find_the_fronts_on_this_machine(made: Installation) -> None:
    credentials.refresh(made, "https://kcp.example:443", HOSTS, "https://127.0.0.1:6443")
    found = [yaml.safe_load(path.read_text()) for path in (made.kubeconfig, made.controllers_kubeconfig)]
    servers = [each["clusters"][0]["cluster"]["server"] for each in found]
    assert servers == ["https://kcp.example:443/clusters/root", "https://127.0.0.1:6443/clusters/root"]


def test_another_address_renews_the_serving_certificate_with_its_key_and_changes_the_kubeconfig(
    made: Installation,
) -> None:
    key = (made.pki / "serving.key").read_bytes()
    assert credentials.refresh(made, "https://kcp.example.com:443", [*HOSTS, "kcp.example.com"]) == ["serving"]
    assert "kcp.example.com" in certificates.certificate_hosts((made.pki / "serving.crt").read_bytes())
    assert (made.pki / "serving.key").read_bytes() == key
    assert "https://kcp.example.com:443/clusters/root" in made.kubeconfig.read_text()


def test_certificates_are_renewed_in_their_last_third(made: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    later = certificates.now_utc() + timedelta(days=300)
    monkeypatch.setattr(certificates, "now_utc", lambda: later)
    assert credentials.refresh(made, SERVER, HOSTS) == ["serving"]
    assert credentials.refresh(made, SERVER, HOSTS) == []


def test_a_serving_certificate_without_its_key_is_made_anew(made: Installation) -> None:
    (made.pki / "serving.key").write_bytes((made.pki / "client-ca.key").read_bytes())
    assert credentials.refresh(made, SERVER, HOSTS) == ["serving"]
    assert certificates.is_pair((made.pki / "serving.crt").read_bytes(), (made.pki / "serving.key").read_bytes())


def test_an_authority_with_a_strange_key_is_damage(made: Installation) -> None:
    (made.pki / "serving-ca.key").write_bytes((made.pki / "client-ca.key").read_bytes())
    with pytest.raises(Refused, match=r"is damaged: serving-ca\.crt and serving-ca\.key do not belong together"):
        credentials.refresh(made, SERVER, ["other.example.com"])


@pytest.mark.parametrize("text", ["", "secret,alice,1\n", "secret\n"], ids=["empty", "no administrator", "not tokens"])
def test_a_token_file_without_administrator_is_damage(made: Installation, text: str) -> None:
    made.token_file.write_text(text)
    with pytest.raises(Refused, match=r"tokens\.csv is damaged: "):
        credentials.refresh(made, SERVER, HOSTS)


def test_a_broken_kubeconfig_is_written_anew(made: Installation) -> None:
    whole = made.kubeconfig.read_bytes()
    made.kubeconfig.write_text("{")
    credentials.refresh(made, SERVER, HOSTS)
    assert made.kubeconfig.read_bytes() == whole


@pytest.fixture
def several(made: Installation) -> Installation:
    return replace(made, shards=2, internal_listen="10.0.0.1:7443")


def test_where_others_join_every_process_gets_a_tls_directory(several: Installation) -> None:
    assert credentials.refresh(several, SERVER, HOSTS) == ["shard-1", "shard-2", "front", "admin"]
    before = content(several)
    assert credentials.refresh(several, SERVER, HOSTS) == []
    assert content(several) == before


def test_a_tls_directory_is_all_a_process_needs_and_shows_the_authority(several: Installation) -> None:
    credentials.refresh(several, SERVER, HOSTS)
    directory = several.tls_directory("shard-2")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(directory / "ca.crt"))
    context.load_cert_chain(directory / "tls.crt", directory / "tls.key")
    authority = (several.pki / "internal-ca.crt").read_bytes()
    assert (directory / "tls.crt").read_bytes().endswith(authority)
    assert certificates.certificate_hosts((directory / "tls.crt").read_bytes()) == ["10.0.0.1"]


def test_another_internal_address_renews_the_shards(several: Installation) -> None:
    credentials.refresh(several, SERVER, HOSTS)
    moved = replace(several, internal_listen="10.0.0.2:7443")
    assert credentials.refresh(moved, SERVER, HOSTS) == ["shard-1", "shard-2"]


@pytest.mark.parametrize(
    ("listen", "named"),
    [
        pytest.param("0.0.0.0", False, id="any address is no name"),
        pytest.param("::", False, id="any IPv6 address is no name"),
        pytest.param("10.0.0.1", True, id="an address"),
    ],
)
def test_the_names_of_a_server(listen: str, named: bool) -> None:
    hosts = credentials.serving_hosts(listen, ["kcp.example.com"])
    assert hosts[0] == "kcp.example.com"
    assert {"localhost", "127.0.0.1", "::1"} <= set(hosts)
    assert (listen in hosts) is named
