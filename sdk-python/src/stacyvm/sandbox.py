from stacyvm._sync.sandbox import Sandbox

__all__ = ["Sandbox"]
