"""The rows of the strategy table: what kube-apiserver's registry strategies and validation say of each kind."""

from collections.abc import Mapping

from kcpshard.definitions.strategies import Rules

RULES: Mapping[tuple[str, str], Rules] = {}
