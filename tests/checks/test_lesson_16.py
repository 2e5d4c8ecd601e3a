"""Answers to exercise 16, and what its check says to each."""

from tests.checks.answers import *

STARTER = "Ben, whose model call was under way, got no reply. The run is pinned to version 1"
WRONG = {}
RIGHT = {}
