from kcpshard.placement.ownership_states import CLUSTER_TRANSITIONS, SLOT_TRANSITIONS, ClusterState, Command, SlotState


def test_every_state_of_a_slot_can_be_reached_and_left() -> None:
    assert {state for state, _ in SLOT_TRANSITIONS} == set(SlotState)
    assert set(SLOT_TRANSITIONS.values()) == set(SlotState) - {SlotState.FREE}


def test_clusters_are_sealed_only_where_they_are_served_and_adopted_only_where_not() -> None:
    served = {ClusterState.HERE, ClusterState.ADOPTED}
    assert {state for state, command in CLUSTER_TRANSITIONS if command is Command.SEAL} == served
    assert {state for state, command in CLUSTER_TRANSITIONS if command is Command.ADOPT} == set(ClusterState) - served
