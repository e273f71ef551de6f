"""Joining an installation from another machine: tokens and certificates."""
