from stacyvm._sync.client import Client

__all__ = ["Client"]
