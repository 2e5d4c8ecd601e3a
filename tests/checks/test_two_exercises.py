"""A lesson with two exercises: the second one is a text and a check, and nothing else has to know of it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import course

TEXT = """# Another one

```python
answer = 0  # TODO
```

1. More.
2. Less.
3. 42.
"""

CHECK = """
from course.checks.verdict import NotYet


async def check(module):
    if module.answer != 42:
        raise NotYet(f"It is {module.answer}.")
    return "it is 42."
"""

READER = """
import asyncio
from course.checks import cell, check, hint, progress, work

async def main():
    for code in ("answer = 0  # TODO", "answer = 41", "answer = 42"):
        cell.exercise("08b", code)
        print(await check("08b"))
    hint("08b")
    table = progress().set_index("exercise")
    print(table.loc["08":"09"].to_csv())

asyncio.run(main())
"""


def test_a_second_exercise_of_a_lesson_has_a_file_hints_and_progress_of_its_own(tmp_path: Path) -> None:
    shutil.copytree(Path(course.__file__).parent, tmp_path / "course")  # as it is compiled
    (tmp_path / "course/checks/exercises/08b.md").write_text(TEXT)
    (tmp_path / "course/checks/lesson_08b.py").write_text(CHECK)
    work = tmp_path / "my_work"
    work.mkdir()
    (work / "lesson_08.py").write_text("mine = 1\n")
    (work / "progress.json").write_text(json.dumps({"08": {"tries": 2, "done": True}}))

    done = subprocess.run([sys.executable, "-c", READER], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == [
        'Saved as my_work/lesson_08b.py. Now run: await check("08b")',
        "Exercise 08b is not started: change the cell that begins with %%exercise 08b, run it, and check",
    ]
    assert "Not yet: It is 41." in lines
    assert (
        'Saved as my_work/lesson_08b.py (what was there is kept as lesson_08b.previous.py). Now run: await check("08b")'
        in lines
    )
    assert "Passed: it is 42." in lines
    assert 'Hint 1 of 3: More. `hint("08b")` shows the next.' in lines
    assert [line for line in lines if line.startswith("0")] == [
        "08,What is done again?,✓,2",
        "08b,Another one,✓,2",
        "09,A new step for conversations under way,not started,0",
    ]
    assert (work / "lesson_08.py").read_text() == "mine = 1\n"
