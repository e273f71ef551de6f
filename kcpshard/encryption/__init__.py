"""Secrets at rest: which resources are sealed, with which keys, and the rewriting of what an older key sealed."""
