class LabError(RuntimeError):
    """Something that the lab could not do. The message says what happened, what was kept and what to do."""

    def _render_traceback_(self) -> list[str]:
        """IPython shows this in place of a traceback: the sentence is what helps, not the lab's own lines."""
        return [f"{type(self).__name__}: {self}"]


class MessageRefused(LabError, ValueError):
    """A message that no conversation takes. Nothing was sent."""
