"""Which model a lab has."""

from typing import Any

from agents import Model, ModelProvider

from course.lab.errors import LabError
from course.models import OfflineModel, model_provider


def chosen_model(model: Model | str | None) -> tuple[Any, ModelProvider]:
    """The model that `lab.model` shows, and what workers ask for it. Raises `LabError`."""
    try:
        shown, provider = model_provider(model)
    except (ValueError, TypeError) as error:
        raise LabError(str(error)) from None
    return (LiveModel(shown) if isinstance(shown, str) else shown), provider


class LiveModel(str):
    """A live model's name. It says so when it is asked for what only the offline model has."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in vars(OfflineModel()):
            raise AttributeError(name)
        return self.__setattr__(name, None)

    def __setattr__(self, name: str, _: Any) -> Any:
        raise LabError(
            f"`lab.model.{name}` is the offline model's: this lab asks the live model {str(self)!r}, which makes its own "
            "mistakes. For mistakes on purpose, start a lab without model=."
        )
