"""What the fork server of a test run imports for its kernels, beside the lab."""

import gc

import ipykernel.ipkernel
import ipykernel.kernelapp
import matplotlib
import matplotlib_inline.backend_inline
import pandas

__all__ = ["ipykernel", "matplotlib_inline"]

# What these two ask for while they are imported, a kernel would have told them.
matplotlib.rcParams["backend"] = "module://matplotlib_inline.backend_inline"
pandas.set_option("display.max_columns", 20)
gc.collect()
gc.freeze()
