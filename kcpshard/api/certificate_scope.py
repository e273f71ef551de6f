"""The private extension of certificates issued through a logical cluster: the id of the incarnation, in decimal.

Whoever shows such a certificate is somebody there and nowhere else. Fronts read it, shards write it.
"""

# "kcp " as a number. Go reads no numbers above 2^31 there, so it cannot be a real UUID; it means something in
# certificates of our own authorities only.
EXTENSION_OID = "2.25.1801678880"
AUTHORITY_NAME = "kcp certificates "  # begins the common name of every authority that signs such certificates


def encode_scope(cluster_id: int) -> bytes:
    """DER: a UTF8String."""
    text = str(cluster_id).encode()
    return bytes((0x0C, len(text))) + text


def decode_scope(raw: bytes) -> int:
    """0 for what is not one."""
    text = raw[2:]
    if len(raw) < 3 or raw[0] != 0x0C or raw[1] != len(text) or len(text) > 20 or not text.isdigit():
        return 0
    return int(text)
