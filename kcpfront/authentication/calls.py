"""How a front calls servers that the operator has named: with deadlines, bounded answers and no redirects.

The same client as a shard's for tenants (`kcpshard.callouts`), but any address will do: an operator may mean them all.
"""

from ipaddress import ip_network

from kcpshard.callouts.addresses import AddressPolicy
from kcpshard.callouts.calls import Callouts

_EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))


def operators_callouts() -> Callouts:
    return Callouts(AddressPolicy(_EVERYWHERE))
