"""Verbs that would hold the shard's loop, worked out beside it: see `offload.writes`."""
