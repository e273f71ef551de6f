import pickle

from kcpshard.api.requests import Answer
from kcpshard.offload.messages import Proposal


def test_a_proposal_survives_the_way() -> None:
    proposal = Proposal((), (b"id", 201), Answer(201, b"{}", warnings=["careful"]), False)
    assert pickle.loads(pickle.dumps(proposal, 5)) == proposal
