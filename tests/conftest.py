"""Switches on, before anything is imported, the invariant checks that production leaves out."""

import os

os.environ["KCP_VERIFY"] = "1"
# Tests start programs and nothing else in a forked process: gRPC's handlers would write into what those say.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

from hypothesis import HealthCheck, settings

from kcpshard.rpc.transport import keep_poller

keep_poller()

# A busy machine is no fault of the code: how long an example may take is for benchmarks to say. The examples are the
# same each time, so that a change is judged by what it changes; `make properties` looks for new ones.
settings.register_profile("kcp", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", settings.get_profile("kcp"), derandomize=False, max_examples=1_000)
settings.load_profile(os.environ.get("KCP_PROPERTIES", "kcp"))
