"""Bytes over the network: the egress guard, libcurl behind it, and the engine that moves files."""
