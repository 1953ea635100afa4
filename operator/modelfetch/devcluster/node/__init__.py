"""The process node: a Kubernetes node of the embedded cluster that runs Pods of one image as local processes.

In: Pods, claims, Secrets and ConfigMaps of an API server. Out: a Node with its Lease, Pod status as a kubelet writes
it, container logs over the kubelet's API. Neighbours: devcluster.cluster starts it; nothing of the product knows it.
"""
