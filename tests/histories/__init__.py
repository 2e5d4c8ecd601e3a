"""Histories that the course did not make: the tests' own workflows, recorded once on a real server."""
