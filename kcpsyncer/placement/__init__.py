"""Which physical cluster runs how much of a workload, why, and what follows when one falls silent.

Everything here decides and nothing acts: values in, values out, no clock, no I/O. `decision` is the entrance for
placing, `failure_detection` and `failover` for losing a cluster, `transition` for getting from one division to another
without a gap, `leafs` and `status_aggregation` for what the API shows of it.
"""
