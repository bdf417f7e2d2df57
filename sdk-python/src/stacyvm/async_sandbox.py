from stacyvm._async.sandbox import AsyncSandbox

__all__ = ["AsyncSandbox"]
