from stacyvm._async.providers import AsyncProviderManager
from stacyvm._sync.providers import ProviderManager

__all__ = ["AsyncProviderManager", "ProviderManager"]
