"""The models: an offline one made of rules (simulated), the choice of a live one, an endpoint for any."""

from .defiant import Defiant
from .endpoint import ModelEndpoint, model_at
from .live import ModelError, model_provider, slow_model
from .offline import Fails, Mistakes, OfflineModel
from .serving import Answer, LoopbackServer, Request
from .traces import keep_traces_here
from .wire import ToolCall

__all__ = [
    "Answer",
    "Defiant",
    "Fails",
    "LoopbackServer",
    "Mistakes",
    "ModelEndpoint",
    "ModelError",
    "OfflineModel",
    "Request",
    "ToolCall",
    "keep_traces_here",
    "model_at",
    "model_provider",
    "slow_model",
]
