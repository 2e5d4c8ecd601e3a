"""The reader's own copy of the lessons, `my_course/`: `python -m course.copying` makes it, or brings it up to date.

In the copy no lesson has outputs, an answer to a prediction is folded, and the solutions are in a hidden folder. What
the reader has changed is theirs: it is never overwritten. Nothing here writes to `notebooks/`, except that a
`my_work` from before there was a copy moves to where the lessons now write.
"""

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[1]
COPIED = ".copied.json"
"""In the copy: for each file, what it held when it was copied, and which newer version was put beside it."""

_ANSWER = re.compile(r"^<!-- answer: [^\n]+ -->\n(.*?)\n<!-- /answer -->$", re.M | re.S)
# JupyterLab renders Markdown inside HTML only between blank lines.
_FOLDED = r"<details><summary>Compare with your prediction</summary>\n\n\1\n\n</details>"
_NOT_A_NOTEBOOK = "none"


def refresh(notebooks: Path, copy: Path) -> Iterator[str]:
    """Makes `copy` from `notebooks`, or brings it up to date. Yields a sentence for each thing to know.

    Raises:
        OSError: A file cannot be read or written. What was written until then is whole.
    """
    if not copy.exists():
        copy.mkdir()
        yield f"Your copy of the lessons is in {copy.name}. What you change there stays yours."
    if (notebooks / "my_work").is_dir() and not (copy / "my_work").exists():
        (notebooks / "my_work").rename(copy / "my_work")
        yield f"notebooks/my_work is now {copy.name}/my_work: what you write is beside your lessons."
    copied = _read(copy / COPIED)
    files = {_place(file.relative_to(notebooks)): file for file in _files(notebooks)}
    try:
        for place, file in files.items():
            yield from _bring(for_reader(file), copy / place, copied.setdefault(place.as_posix(), {}))
        for place in [place for place in copied if Path(place) not in files]:
            yield from _take_away(copy / place, copied.pop(place))
    finally:
        _write(copy / COPIED, json.dumps(copied, indent=1).encode())


def for_reader(file: Path) -> bytes:
    """What the copy holds of a file: of a lesson its cells without outputs, the answers folded."""
    content = file.read_bytes()
    if file.suffix != ".ipynb":
        return content
    notebook = json.loads(content)
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
        elif cell["cell_type"] == "markdown":
            source = _ANSWER.sub(_FOLDED, source)
        cell["source"] = source.splitlines(keepends=True)
    return (json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()


def version(name: str, content: bytes) -> str:
    """The same for two files that say the same: of a notebook, only the cells' sources count, and no blank cell.

    JupyterLab writes outputs and metadata, and adds a cell below the last one that is run.
    """
    if name.endswith(".ipynb"):
        try:
            cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(content)["cells"]]
        except (ValueError, TypeError, KeyError):
            return _NOT_A_NOTEBOOK
        content = json.dumps([cell for cell in cells if cell[1].strip()]).encode()
    return hashlib.sha256(content).hexdigest()


def _bring(content: bytes, file: Path, known: dict[str, str]) -> Iterator[str]:
    new = version(file.name, content)
    mine = version(file.name, file.read_bytes()) if file.exists() else None
    if mine == _NOT_A_NOTEBOOK:
        aside = _free(file, "broken")
        file.rename(aside)
        yield f"{file.name} was not a notebook any more. It is kept as {aside.name}, and the lesson is there again."
    if mine in (None, _NOT_A_NOTEBOOK, *known.values()) and mine != new:
        _write(file, content)
        mine = new
    if mine == new:
        known.update(copied=new)
    elif new not in (known.get("copied"), known.get("offered")):
        beside = _free(file, "new", known.get("offered"))
        _write(beside, content)
        known.update(offered=new)
        yield f"{file.name} has a new version. You have changed yours, so it stays; the new one is {beside.name}."


def _take_away(file: Path, known: dict[str, str]) -> Iterator[str]:
    if not file.exists():
        return
    if version(file.name, file.read_bytes()) == known.get("copied"):
        file.unlink()
    else:
        yield f"{file.name} is no longer part of the course. You have changed yours, so it stays."


def _files(notebooks: Path) -> list[Path]:
    """What belongs to the lessons; not what running them or JupyterLab leaves there."""
    inside = [(file, file.relative_to(notebooks).parts) for file in sorted(notebooks.rglob("*"))]
    left = {"my_work", "__pycache__"}
    return [
        file
        for file, parts in inside
        if file.is_file() and not any(part in left or part.startswith(".") for part in parts)
    ]


def _place(inside: Path) -> Path:
    """JupyterLab hides a folder whose name begins with a dot."""
    return Path(".solutions", *inside.parts[1:]) if inside.parts[0] == "solutions" else inside


def _free(file: Path, word: str, replaceable: str | None = None) -> Path:
    """A name beside a file: `03.new.ipynb`, `03.new2.ipynb`. Nothing has it yet, or what has it is replaceable."""
    names = (file.with_suffix(f".{word}{number}{file.suffix}") for number in ("", *range(2, 1000)))
    return next(
        name for name in names if not name.exists() or version(name.name, name.read_bytes()) == replaceable
    )


def _read(file: Path) -> dict[str, dict[str, str]]:
    """What is not ours in it is left out: then what differs counts as changed by the reader, and is kept."""
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    known = known if isinstance(known, dict) else {}
    return {place: one for place, one in known.items() if isinstance(one, dict)}


def _write(file: Path, content: bytes) -> None:
    """All of it or nothing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}.draft")
    try:
        draft.write_bytes(content)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def main(project: Path = PROJECT) -> None:
    copy = project / "my_course"
    if not (project / "notebooks").is_dir():
        sys.exit(
            "The lessons are in a clone of the course and not in an installed package: run this in the clone."
        )
    if copy.exists() and not copy.is_dir():
        sys.exit(
            f"Your copy of the lessons needs a folder {copy.name}, and there is a file of that name: move it away."
        )
    try:
        for sentence in refresh(project / "notebooks", copy):
            print(sentence)
    except OSError as error:
        sys.exit(
            f"{copy.name} could not be brought up to date: {error.strerror}. Nothing of yours was changed."
        )


if __name__ == "__main__":
    main()
