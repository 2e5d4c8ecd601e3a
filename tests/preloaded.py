"""What the fork server of a test run imports for its kernels, beside the lab."""

import gc

import ipykernel.ipkernel
import ipykernel.kernelapp
import matplotlib_inline.backend_inline
import pandas

__all__ = ["ipykernel", "matplotlib_inline", "pandas"]

gc.collect()
gc.freeze()
