from kcpshard.placement.cluster_moves import DRAIN, ClusterMove, MoveRecord, WantedMove, decode_record


def test_a_record_survives_its_encoding() -> None:
    move = ClusterMove(9, "root:a", 1, 2, True, DRAIN)
    record = MoveRecord(move, (WantedMove("root:b", 2), WantedMove("root:c", 1, True)), 9)
    assert decode_record(record.encode()) == record
    assert decode_record(b'[[9,"root:a",1,2,true,"drain"],[]]').epoch == 9
    assert decode_record(b"[null,[]]") == MoveRecord()
    assert decode_record(None) == MoveRecord() == decode_record(MoveRecord().encode())


def test_the_last_wish_counts_and_a_begun_one_waits_no_more() -> None:
    record = MoveRecord().with_asked([WantedMove("a", 1), WantedMove("b", 1)]).with_asked([WantedMove("a", 2)])
    assert record.asked == (WantedMove("b", 1), WantedMove("a", 2))
    begun = record.begun(ClusterMove(9, "b", 2, 1, False, "asked"))
    assert begun.asked == (WantedMove("a", 2),) and begun.active is not None
    assert begun.ended() == MoveRecord(None, (WantedMove("a", 2),), 9), "its epoch is never given again"
    assert begun.without(["a"]).asked == ()
