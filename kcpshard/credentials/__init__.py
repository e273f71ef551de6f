"""What a shard makes for others to prove themselves with: keys, tokens, certificates. Pure but for randomness."""
