"""What a model is told when a refund fails: words of our own, in place of the SDK's."""

from typing import Any

from agents import RunContextWrapper
from temporalio.exceptions import ApplicationError


def tell_the_model(context: RunContextWrapper[Any], error: Exception) -> str:
    cause = error.__cause__
    if isinstance(cause, ApplicationError) and cause.non_retryable:
        # The shop's own words, written for customers.
        return f"The shop refused the refund. {cause.message}"
    return "It is not known whether the refund was paid. A colleague will look into it."
