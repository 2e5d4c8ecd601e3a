"""Lesson 11: a ticket on a machine of states, and one agent that is told in words what it may not do."""
