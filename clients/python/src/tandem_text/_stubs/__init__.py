"""The messages of the protocol, in a pool of descriptors of their own; see tools/stubs.py."""
