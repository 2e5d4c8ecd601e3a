"""The lessons' rooms: a module a chapter, with the workflows and activities of that lesson.

What several lessons share has a file of its own: `plain_conversation`, `telling`, `money`, `records`. Lessons 00 and 08
need no code but the desk's.
"""
