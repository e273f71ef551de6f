"""One reconcile step each: what there is in, what there should be out. Nothing here waits, reads a clock or talks."""
