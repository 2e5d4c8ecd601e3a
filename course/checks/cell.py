"""`%%exercise 01`: a cell that becomes a module of the reader's own.

A workflow has to be in a file: Temporal's sandbox imports it from there. The cell itself is not run.
"""

import sys

from course.checks import exercises, work


def exercise(line: str, cell: str) -> None:
    """Saves the cell as `my_work/lesson_NN.py`, even with a syntax error in it."""
    exercise_id = line.strip().strip("\"'")
    if sentence := exercises.unknown(exercise_id):
        print(sentence)
        return
    file = f"{work.folder().name}/lesson_{exercise_id}.py"
    try:
        replaced = work.save(exercise_id, cell)
    except OSError as error:
        print(f"{file} could not be written: {error.strerror}. Nothing was saved.")
        return
    kept = f" (what was there is kept as lesson_{exercise_id}.previous.py)" if replaced else ""
    print(f'Saved as {file}{kept}. Now run: await check("{exercise_id}")')


def register_magic() -> bool:
    """Makes `%%exercise` known to the notebook. Returns whether this is one."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        return False
    shell.register_magic_function(exercise, "cell", "exercise")
    return True
