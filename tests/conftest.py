"""Switches on, before anything is imported, the invariant checks that production leaves out."""

import os

os.environ["KCP_VERIFY"] = "1"

from hypothesis import settings

# A busy machine is no fault of the code: how long an example may take is for benchmarks to say.
settings.register_profile("kcp", deadline=None)
settings.load_profile("kcp")
