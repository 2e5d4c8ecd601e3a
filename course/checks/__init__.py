"""The exercises' checks: what `%%exercise`, `check`, `hint` and `progress` do in a lesson.

What a reader begins with is a text (`exercises`). Their code runs in a process of its own (`runner`), a lesson's check
(`lesson_01` and so on) asserts on recorded history and on effects, and the answer is one short text (`verdict`).
"""

from course.checks.cell import register_magic
from course.checks.runner import check, hint, warm_up_soon
from course.checks.work import progress

__all__ = ["check", "hint", "progress"]

if register_magic():
    warm_up_soon()
