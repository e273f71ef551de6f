"""Switches on, before anything is imported, the invariant checks that production leaves out."""

import os

os.environ["KCP_VERIFY"] = "1"
