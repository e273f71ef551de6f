"""Carries workloads between logical clusters and physical clusters.

So far only what it decides by itself is here: where a tenant's namespace lives downstream. The agent, its streams and
the multi-cluster controllers are not built yet.
"""
