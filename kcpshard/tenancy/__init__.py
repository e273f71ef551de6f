"""The tree of workspaces: what types allow, what a logical cluster says of itself, who is asked on other shards."""
