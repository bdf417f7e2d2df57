from stacyvm._async.templates import AsyncTemplateManager
from stacyvm._sync.templates import TemplateManager

__all__ = ["AsyncTemplateManager", "TemplateManager"]
