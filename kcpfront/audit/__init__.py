"""Audit records: which requests are recorded and how far (`policy`), what a record says (`events`), where it goes.

A request pays for a look at the policy and one append to a list (`trail`); records are formatted in batches on the loop
and written by a thread for each place they go to (`delivery`, `log_file`, `webhook`).
"""
