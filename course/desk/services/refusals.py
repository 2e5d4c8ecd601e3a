"""What a service says when asking again would not help."""


class Refused(ValueError):
    """What was asked cannot be done, and asking again would not help. The message says why."""


class KeyReused(Refused):
    """The same key came again with other content: two intents share one name."""
