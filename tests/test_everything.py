"""What a lab serves unless it is told otherwise: found, and not listed."""

import sys
import textwrap
from collections import Counter
from pathlib import Path

import pytest

from course.desk import ConversationWorkflow
from course.lab import compat, everything


def test_each_type_is_served_once() -> None:
    workflows = Counter(compat.workflow_definition(code).name for code in everything.workflows())
    activities = Counter(compat.activity_definition(code).name for code in everything.activities())
    for found, some in (
        (workflows, {"ConversationWorkflow", "HelloWorkflow", "ApprovalWorkflow", "WeeklyReportWorkflow"}),
        (activities, {"save_to_database", "send_notification", "issue_refund", "look_up_order"}),
    ):
        assert some <= set(found)
        assert set(found.values()) == {1}


def test_versions_of_a_workflow_stand_in_one_module() -> None:
    """So that it is its module that says which one is served, and not the order of the modules' names.

    A lesson may have another version of the desk's: the desk's own comes first, since its modules do.
    """
    homes: dict[str, set[str]] = {}
    for code in everything.versions():
        homes.setdefault(compat.workflow_definition(code).name, set()).add(code.__module__)
    desks = {"course.desk.conversation"}
    assert [name for name, modules in homes.items() if len(modules - desks) > 1] == []
    assert ConversationWorkflow in everything.workflows()


def test_the_first_version_of_a_workflow_is_served_and_nothing_that_was_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "chapters"
    (package / "two").mkdir(parents=True)
    for folder in (package, package / "two"):
        (folder / "__init__.py").touch()
    (package / "__main__.py").write_text("raise SystemExit('a program, which nobody asked for')")
    (package / "one.py").write_text(
        textwrap.dedent("""
            from temporalio import activity, workflow
            from course.lessons.lesson_01 import HelloWorkflow

            @activity.defn
            def act() -> None: ...

            @workflow.defn(name="Desk")
            class DeskOfToday:
                @workflow.run
                async def run(self) -> None: ...

            @workflow.defn(name="Desk")
            class DeskOfTomorrow:
                @workflow.run
                async def run(self) -> None: ...

            class NotOne(DeskOfToday): ...
        """)
    )
    (package / "two" / "deep.py").write_text(
        "from chapters.one import act\nfrom temporalio import activity\n\n"
        "@activity.defn(name='renamed')\nasync def deep() -> None: ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(everything, "PLACES", ("chapters",))
    assert [code.__name__ for code in everything.workflows()] == ["DeskOfToday"]
    assert [code.__name__ for code in everything.activities()] == ["act", "deep"]
    for name in [name for name in sys.modules if name.split(".")[0] == "chapters"]:
        del sys.modules[name]
