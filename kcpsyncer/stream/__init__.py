"""How an agent talks to the shards: one stream to each, over which objects come down and requests go up."""
