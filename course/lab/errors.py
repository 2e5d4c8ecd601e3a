class LabError(RuntimeError):
    """Something that the lab could not do. The message says what happened, what was kept and what to do."""
