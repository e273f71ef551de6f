"""Certificate authorities of a logical cluster's own clients: where they are registered, and what a registration holds.

The ConfigMap `kcp-client-ca` in kube-system has them as PEM in `client-ca-file`. It is part of the logical cluster,
moves with it, and is worth something only in it.
"""

import base64
import binascii
import re
from hashlib import sha256

CONFIG_MAPS, NAMESPACE, NAME, MEMBER = "configmaps", "kube-system", "kcp-client-ca", "client-ca-file"
MAX_CERTIFICATES = 16
MAX_BYTES = 65_536

_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----\s*([A-Za-z0-9+/=\s]+?)\s*-----END CERTIFICATE-----")


def certificates(pem: bytes) -> list[bytes]:
    """DER of each certificate, in order. Raises ValueError for a block that is damaged; other text is passed over."""
    found = []
    for block in _BLOCK.finditer(pem):
        try:
            found.append(base64.b64decode(b"".join(block.group(1).split()), validate=True))
        except binascii.Error as error:
            raise ValueError("a certificate is not base64") from error
    return found


def digest(der: bytes) -> str:
    """SHA-256, hexadecimal: by this a proof names the authority."""
    return sha256(der).hexdigest()
