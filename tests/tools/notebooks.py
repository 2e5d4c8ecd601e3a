"""Executes every lesson and rewrites its outputs: `make notebooks`, or `make notebooks ARGS=03`.

`--redraw` draws pictures anew that show the same as before. Deterministic: a second run changes nothing. Whatever differs from run to run (execution times, the kernel's
version, transient display ids) is left out of the file.
"""

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
LANGUAGE = {"name": "python"}
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def execute(path: Path) -> None:
    before = nbformat.read(path, as_version=4)
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    clean(notebook)
    if "--redraw" not in sys.argv:
        keep_pictures(before, notebook)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def clean(notebook: nbformat.NotebookNode) -> None:
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": LANGUAGE})
    for number, cell in enumerate(notebook.cells, 1):
        cell.id = f"cell-{number}"
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        if "nbval-ignore-output" in cell.metadata.get("tags", []):
            cell.outputs = []  # it differs on every run
        merged: list[nbformat.NotebookNode] = []
        for output in cell.outputs:
            output.pop("transient", None)
            before = merged[-1] if merged else None
            if before and output.output_type == "stream" == before.output_type and before.name == output.name:
                before.text += output.text  # how a stream is cut into messages is chance
            else:
                merged.append(output)
        cell.outputs = merged


def keep_pictures(before: nbformat.NotebookNode, after: nbformat.NotebookNode) -> None:
    """A picture of the same things keeps its old pixels: which of two things at once came first is chance."""
    old = {output.data["text/plain"]: output for output in pictures(before)}
    for output in pictures(after):
        if same := old.get(output.data["text/plain"]):
            output.data["image/png"] = same.data["image/png"]
            output.metadata = same.metadata


def pictures(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output for output in outputs if "image/png" in output.get("data", {})]


def main() -> None:
    wanted = [word for word in sys.argv[1:] if not word.startswith("--")] or [""]
    for path in sorted(NOTEBOOKS.glob("[0-9][0-9]*_*.ipynb")):
        if any(path.name.startswith(prefix) for prefix in wanted):
            print(path.name, flush=True)
            with tempfile.TemporaryDirectory() as folder:
                os.environ["COURSE_MY_WORK"] = (
                    f"{folder}/my_work"  # not what lies in my_work: that is somebody's
                )
                execute(path)


if __name__ == "__main__":
    main()
