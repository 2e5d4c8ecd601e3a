"""What the fork server of a test run imports for its kernels, beside the lab."""

import gc

import ipykernel.ipkernel
import ipykernel.kernelapp
import matplotlib_inline.backend_inline
import pandas
import pytest
import temporalio.openai_agents.testing  # as pytest, for lesson 15's suites

import course.history

__all__ = ["course", "ipykernel", "matplotlib_inline", "pandas", "pytest", "temporalio"]

gc.collect()
gc.freeze()
