from stacyvm._async.client import AsyncClient

__all__ = ["AsyncClient"]
