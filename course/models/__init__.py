"""The models: an offline one made of rules (simulated), the choice of a live one, an endpoint for any."""

from .defiant import Defiant
from .endpoint import ModelEndpoint
from .live import ModelError, model_provider
from .offline import Fails, Mistakes, OfflineModel
from .wire import ToolCall

__all__ = [
    "Defiant",
    "Fails",
    "Mistakes",
    "ModelEndpoint",
    "ModelError",
    "OfflineModel",
    "ToolCall",
    "model_provider",
]
