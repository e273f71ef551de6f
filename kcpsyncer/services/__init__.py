"""Services across clusters (Multi-Cluster Services API, multicluster.x-k8s.io), with us as the broker.

What a logical cluster exports (`ServiceExport`) is looked for in every physical cluster that it uses; what is found is
made into one `ServiceImport` and EndpointSlices, upstream and in each of those clusters. The namespaces of a logical
cluster have the same name below everywhere, so the clusters are a clusterset of their own for each logical cluster, and
nobody else's. `exports` and `imports` decide, `discovery` acts.
"""
