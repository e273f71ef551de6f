from kcpshard.placement.rebalancing import PlannedMove
from kcpshard.placement.slot_moves import MoveStage, begin_move, decode_move, sealed


def test_a_move_begins_with_sealing_and_goes_on_with_what_was_sealed() -> None:
    move = begin_move(PlannedMove(1, 2, (3, 4, 5)), 9)
    assert (move.stage, move.slots, move.epoch) == (MoveStage.SEAL, (3, 4, 5), 9)
    after = sealed(move, [4], 77, [("root:a", 3)])
    assert (after.stage, after.slots, after.revision) == (MoveStage.GRANT, (3, 5), 77)


def test_the_record_round_trips() -> None:
    move = begin_move(PlannedMove(1, 2, (3, 4)), 9)
    for each in (move, sealed(move, [], 77, [("root:a", 3)])):
        assert decode_move(each.encode()) == each
