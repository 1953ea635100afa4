"""The only door to the Kubernetes API."""
