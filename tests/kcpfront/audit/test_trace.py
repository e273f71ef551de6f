from kcpfront.audit.policy import NOTHING
from kcpfront.audit.trace import Trace


def test_a_trace_keeps_what_it_is_told_last() -> None:
    trace = Trace(NOTHING, 1.0, ["192.0.2.1"])
    assert (trace.shard, trace.answer, trace.is_long) == (b"", b"", False)
    trace.told(b"a", b"b")
    assert (trace.shard, trace.answer) == (b"a", b"b")
