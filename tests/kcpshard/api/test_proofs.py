import pytest

from kcpshard.api.proofs import BootstrapToken, ClaimedObject, Proof, StoredToken, decode_proof

PROOFS = [
    Proof(7),
    Proof(7, (ClaimedObject("pods", "ns", "a", "u"), ClaimedObject("nodes", "", "n", "v"))),
    Proof(7, (), StoredToken("ns", "s", "ab")),
    Proof(0, (), None, BootstrapToken("abcdef", "cd")),
]


@pytest.mark.parametrize("proof", PROOFS)
def test_round_trip(proof: Proof) -> None:
    assert decode_proof(proof.encode()) == proof


@pytest.mark.parametrize("raw", [b"", b"{}", b"[1]", b"[1,[[1]],null,null]", b"null"])
def test_anything_else_is_refused(raw: bytes) -> None:
    with pytest.raises((ValueError, TypeError)):
        decode_proof(raw)
