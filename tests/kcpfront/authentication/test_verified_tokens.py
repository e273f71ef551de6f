from kcpfront.authentication import verified_tokens
from kcpfront.authentication.credential import credential, digest
from kcpfront.authentication.verified_tokens import VerifiedTokens
from kcpshard.api.requests import Identity

ANN = credential(Identity("ann"), expires_s=100.0)


def test_a_token_is_known_until_it_expires() -> None:
    tokens = VerifiedTokens()
    tokens.add(digest("t"), ANN, 0.0)
    assert tokens.find(digest("t"), 99.0) is ANN
    assert tokens.find(digest("t"), 100.0) is None
    assert len(tokens) == 0


def test_no_token_is_believed_for_ever() -> None:
    tokens = VerifiedTokens()
    tokens.add(digest("t"), credential(Identity("ann")), 0.0)
    assert tokens.find(digest("t"), verified_tokens.MAX_AGE_S) is None


def test_tokens_are_bounded() -> None:
    tokens = VerifiedTokens()
    for number in range(verified_tokens.MAX_TOKENS + 10):
        tokens.add(digest(str(number)), ANN, 0.0)
    assert len(tokens) <= verified_tokens.MAX_TOKENS
    assert tokens.find(digest(str(verified_tokens.MAX_TOKENS + 9)), 0.0) is ANN
