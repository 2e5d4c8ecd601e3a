"""Lesson 15's desk, desks that break one of its promises, and what a reader's suite says of each."""

from course.checks.under_test.noticing import noticed

__all__ = ["noticed"]
