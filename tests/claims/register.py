"""Where the claims of lessons and pages about Temporal, the SDKs and protocols are proven: `NN.toml`, read and judged.

An entry has the sentence, word for word from the lesson's text, and its proof: `test` (a test by its node id),
`measured` (a benchmark, written the same way), or `source` (lines of an installed package, with its version).
"""

import ast
import json
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution, version
from pathlib import Path

ROOT = Path(__file__).parents[2]
Lines = Callable[["Source"], list[str]]


@dataclass(frozen=True)
class Source:
    package: str
    version: str
    file: str
    line: int  # from 1
    says: str

    def __str__(self) -> str:
        return f"{self.package} {self.version}, {self.file}:{self.line}, “{self.says}”"


@dataclass(frozen=True)
class Claim:
    lesson: str
    sentence: str
    test: str = ""
    measured: str = ""
    source: tuple[Source, ...] = ()


PAGES = {"operations": "OPERATIONS.md"}
"""Pages that are no lessons, and have a register all the same."""


def lessons() -> list[str]:
    return [file.name.split("_")[0] for file in sorted((ROOT / "notebooks").glob("[0-9][0-9]*_*.ipynb"))]


def claims() -> list[Claim]:
    """Raises `TypeError` for an entry with a key that none has."""
    found = []
    for file in sorted(Path(__file__).parent.glob("*.toml")):
        for entry in tomllib.loads(file.read_text()).get("claim", []):
            sources = tuple(Source(**source) for source in entry.pop("source", []))
            found.append(Claim(file.stem, source=sources, **entry))
    return found


@cache
def text(lesson: str) -> str:
    """A lesson's markdown, or a page's, each run of white space as one space."""
    if lesson in PAGES:
        return " ".join((ROOT / PAGES[lesson]).read_text().split())
    [file] = (ROOT / "notebooks").glob(f"{lesson}_*.ipynb")
    cells = json.loads(file.read_text())["cells"]
    words = " ".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return " ".join(words.split())


@cache
def functions(path: str) -> set[str]:
    """The names of a file's top-level functions; none, if there is no file."""
    file = ROOT / path
    tree = ast.parse(file.read_text() if file.exists() else "")
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@cache
def installed(source: Source) -> list[str]:
    """The lines of the file that a source names; none, if there is no such file."""
    file = Path(str(distribution(source.package).locate_file(source.file)))
    return file.read_text().splitlines() if file.exists() else []


def stale(
    claims: Iterable[Claim], version: Callable[[str], str] = version, lines: Lines = installed
) -> list[str]:
    """What has to be read again: every source of another version, and every line that is not where it was."""
    found = []
    for claim in claims:
        for source in claim.source:
            now, text = version(source.package), lines(source)
            places = [n for n, line in enumerate(text, 1) if source.says in line]
            if source.version == now and source.line in places:
                continue
            nearest = min(places, key=lambda place: abs(place - source.line), default=None)
            where = f"now at line {nearest}" if nearest else "gone from there"
            found.append(f"{claim.lesson}: {claim.sentence}\n  {source}: read {now}, {where}")
    return found
