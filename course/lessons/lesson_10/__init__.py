"""Lesson 10: a person decides. An approval with an id of its own, the SDK's own way, and a turn that waits."""
