"""What the fork server of a test run imports for pytest's workers and for kernels, beside the lab."""
# ruff: noqa: F401

import gc

import _hypothesis_pytestplugin
import coverage
import hypothesis
import ipykernel.ipkernel
import ipykernel.kernelapp
import matplotlib_inline.backend_inline
import pandas
import psycopg
import pytest
import temporalio.openai_agents.testing  # as pytest, for lesson 15's suites
import xdist.remote

import course.history
import tests.forks
import tests.proxy
import tests.quick_jsonschema  # before nbval

import nbval.plugin  # isort: skip

gc.collect()
gc.freeze()
