"""What the fork server of a test run imports for its kernels, beside the lab."""

import gc

import ipykernel.ipkernel
import ipykernel.kernelapp
import matplotlib_inline.backend_inline
import pandas

from course.checks.under_test import trials  # and pytest, for lesson 15's suites

__all__ = ["ipykernel", "matplotlib_inline", "pandas", "trials"]

gc.collect()
gc.freeze()
