"""The resources as pydantic models, the order a Job is told, and the CRDs made from them."""
