"""Connections that outlive a request: what has been decided and waits to be used, and the ways to other servers.

A verb decides and *offers* a way; the answer takes a ticket to the front, which comes back with it on a stream of its
own for the bytes. So deciding holds a seat and a credit as long as any request does, and a connection holds neither.
"""
