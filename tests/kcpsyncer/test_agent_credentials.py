"""Whose certificate is signed, and how long it is good."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kcpfront.embedding import EmbeddedServer
from kcpsyncer.agent_credentials import AgentCredentials, _has_expired, _renewal_s
from kcpsyncer.kube_client import Failure
from tests.contracts.physical import CLUSTERS, eventually, joined, working

KEPT = ("default", "kcp-agent-inside")


async def test_nobody_else_gets_the_certificate(upstream_server: EmbeddedServer) -> None:
    upstream = upstream_server.create_cluster()
    async with working(upstream) as world:
        await world.define()
        await eventually(lambda: world.up.list(CLUSTERS))
        await asyncio.to_thread(joined, upstream)
        cluster = await world.up.get(f"{CLUSTERS}/inside")
        assert cluster is not None
        # an administrator's own request is not the agent's
        stranger = AgentCredentials(cluster["metadata"]["uid"], world.up._access, world.up, KEPT)
        with pytest.raises(Failure, match="refused: not asked for by that Cluster's agent"):
            await stranger.access()


def certificate(days_ago: float, days_left: float) -> str:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(now - timedelta(days=days_ago)).not_valid_after(now + timedelta(days=days_left))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_a_certificate_is_renewed_when_a_third_of_its_life_is_left() -> None:
    assert _renewal_s(certificate(0, 6)) == pytest.approx(4 * 86400, abs=60)
    assert (
        _renewal_s(certificate(5, 1)) < 0 and not _has_expired(certificate(5, 1)) and _has_expired(certificate(5, -1))
    )
