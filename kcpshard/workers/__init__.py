"""Processes beside an event loop, for what would hold it: pure functions, bytes in and bytes out."""
