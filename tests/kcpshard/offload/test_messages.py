import pickle

from kcpshard.api.requests import Answer
from kcpshard.api.resource_versions import DIGITS
from kcpshard.offload.messages import FUTURE_REVISION, FUTURE_TEXT, Proposal


def test_the_future_revision_fits_where_a_real_one_will_stand() -> None:
    assert len(FUTURE_TEXT) == DIGITS
    assert FUTURE_REVISION < 1 << 63


def test_a_proposal_survives_the_way() -> None:
    proposal = Proposal((), (b"id", 201), Answer(201, b"{}", warnings=["careful"]), False)
    assert pickle.loads(pickle.dumps(proposal, 5)) == proposal
