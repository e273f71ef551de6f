"""Kubernetes CEL: expressions tenants write, parsed, checked, priced and evaluated."""
