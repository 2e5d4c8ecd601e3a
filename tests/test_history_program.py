"""`python -m course.history` on files: every form of input, every output, and what it says to what is no history."""

import contextlib
import csv
import gzip
import io
import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from temporalio.api.history.v1 import History
from temporalio.client import WorkflowHistory

from course.history import CannotRead, activity_table, page, read
from course.history.__main__ import main
from course.history.printing import json_lines, one_line, table_text
from tests.histories.recordings import FOREIGN, NAMES, runs

ROOT = Path(__file__).parents[1]


def protobuf(run: dict[str, Any]) -> bytes:
    return History(events=WorkflowHistory.from_json("", run).events).SerializeToString()


FORMS = {
    "json": lambda run: json.dumps(run).encode(),
    "indented": lambda run: ("\n" + json.dumps(run, indent=2)).encode(),
    "utf16": lambda run: json.dumps(run).encode("utf-16"),
    "list": lambda run: json.dumps([run]).encode(),
    "protobuf": protobuf,
    "json.gz": lambda run: gzip.compress(json.dumps(run).encode()),
    "pb.gz": lambda run: gzip.compress(protobuf(run)),
}


def saved(folder: Path, *names: str) -> list[str]:
    files = []
    for name in names:
        files.append(str(folder / f"{name}.json"))
        Path(files[-1]).write_text(json.dumps(runs(name)))
    return files


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the program prints, which ends well and says nothing else."""
    code = main(list(arguments))
    output = capsys.readouterr()
    assert (code, output.err) == (0, "")
    return output.out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The sentence with which the program ends, and exit code 2."""
    code = main(list(arguments))
    output = capsys.readouterr()
    assert (code, output.out) == (2, "")
    [sentence] = output.err.splitlines()
    assert sentence.endswith(".")
    return sentence


@pytest.fixture
def desk(tmp_path: Path) -> str:
    return saved(tmp_path, "both_hands")[0]


# Input


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_file_is_read(form: str, tmp_path: Path):
    [run] = runs("both_hands")
    expected = activity_table(run, times=True)
    file = tmp_path / "history"
    file.write_bytes(FORMS[form](run))
    for source in (file, str(file), file.read_bytes(), io.BytesIO(file.read_bytes())):
        pd.testing.assert_frame_equal(activity_table(read(source), times=True), expected)


def test_runs_in_files_of_their_own_are_one_workflow_in_any_order(tmp_path: Path, capsys: Any):
    parts = runs("continues_as_new")
    files = [tmp_path / f"{number}.json" for number in range(len(parts))]
    for file, run in zip(files, parts, strict=True):
        file.write_text(json.dumps(run))
    files = [files[1], files[2], files[0]]
    pd.testing.assert_frame_equal(activity_table(read(*files)), activity_table(parts))
    assert shown(capsys, *map(str, files)).splitlines()[0].endswith("ContinuesAsNew · 3 runs · 5 turns")
    with pytest.raises(CannotRead, match="There are 2 workflows in this: .* Read one at a time"):
        read(*files, *saved(tmp_path, "both_hands"))


def test_standard_input_is_read(desk: str):
    command = [sys.executable, "-m", "course.history"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, input=Path(desk).read_bytes(), capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == GOLDEN


def test_help_shows_the_commands(capsys: Any):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "temporal workflow show -w ada -o json | python -m course.history" in capsys.readouterr().out


@pytest.mark.parametrize("name", [*NAMES, *FOREIGN, "mcp"])
def test_every_recording_goes_through_every_output(name: str, tmp_path: Path, capsys: Any):
    [file] = saved(tmp_path, name)
    table = activity_table(runs(name))
    for arguments in ([], ["--events"], ["--questions"], ["--summary"]):
        assert main([file, *arguments]) == 0
        assert len(capsys.readouterr().out.splitlines()) > 2
    assert main([file, "--csv"]) == main([file, "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    deciders = [json.loads(line)["decided_by"] for line in lines if line.startswith("{")]
    assert deciders == list(table.decided_by)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty"),
        (b" \n ", "is empty"),
        (b"no history", "This text is not JSON"),
        (b"{}", "This JSON is not a workflow history"),
        (b"[]", "The list of histories is empty"),
        (b'{"events": []}', "holds a history without events"),
        (b'{"events": [{"kind": "foreign"}]}', "its events have no ids"),
        (b'{"name": "another", "spans": [1, 2]}', "This JSON is not a workflow history"),
        (b"[" * 100_000, "nested too deeply"),
        (b"\n\xff\xfe\x00\x01", "is broken off or damaged: it begins as a protobuf history"),
        (b"\x1f\x8b\x08\x00broken", "is broken off or damaged: it begins as gzip"),
        (b"\x89PNG\r\n\x1a\n", "not JSON"),
    ],
)
def test_what_is_no_history_gets_a_sentence(data: bytes, sentence: str, tmp_path: Path, capsys: Any):
    file = tmp_path / "given"
    file.write_bytes(data)
    said = refused(capsys, str(file))
    assert str(file) in said
    assert sentence in said


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_is_broken_off_gets_a_sentence(form: str, tmp_path: Path, capsys: Any):
    file = tmp_path / "given"
    whole = FORMS[form](runs("both_hands")[0])
    file.write_bytes(whole[: len(whole) // 2])
    assert str(file) in refused(capsys, str(file))


def test_a_file_that_is_not_there_and_one_that_cannot_be_written_get_a_sentence(
    desk: str, tmp_path: Path, capsys: Any
):
    assert "No such file or directory" in refused(capsys, str(tmp_path / "nobody.json"))
    assert "Is a directory" in refused(capsys, str(tmp_path))
    for option in ("--html", "--timeline"):
        assert "cannot be written" in refused(capsys, desk, option, str(tmp_path / "no" / "folder.png"))
    assert "has no turn 9: it has turns 1 to 4." in refused(capsys, desk, "--turn", "9")
    two = [desk, *saved(tmp_path, "outage")]
    assert "shows one workflow" in refused(capsys, *two, "--html", str(tmp_path / "out.html"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["a.json", "--workflow-id", "ada"],
        ["--run-id", "1", "a.json"],
        ["--timeline", "out.pdf", "a.json"],
        ["--events", "--questions", "a.json"],
        ["--questions", "--turn", "1", "a.json"],
        ["--html", "out.html", "--events", "a.json"],
        ["--codec-header", "nothing", "a.json"],
    ],
)
def test_what_does_not_go_together_is_refused(arguments: list[str], capsys: Any):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err


# What cannot be told


def test_behind_missing_events_nothing_is_the_workflows(tmp_path: Path, capsys: Any):
    [run] = runs("both_hands")
    file = tmp_path / "cut.json"
    file.write_text(json.dumps({"events": run["events"][11:]}))
    table = [json.loads(line) for line in _out(capsys, str(file), "--json").splitlines()]
    whole = activity_table(run)
    assert {row["decided_by"] for row in table} == {"plugin", "agent", "unknown"}
    assert [row["decided_by"] for row in table].count("unknown") == 1 + list(whole.decided_by).count(
        "workflow"
    )
    assert "Events are missing (1 to 11 of run 1)." in _out(capsys, str(file))
    page_of_it = page(read(file))
    assert "Events are missing" in page_of_it
    assert "<td>workflow</td>" not in page_of_it


def test_each_unknown_has_a_line_that_says_why(tmp_path: Path, capsys: Any):
    sealed, foreign = saved(tmp_path, "sealed", "google_adk")
    later = tmp_path / "later.json"
    later.write_text(json.dumps(runs("continues_as_new")[1]))
    assert "30 payloads cannot be read here (30 × binary/sealed)." in _out(capsys, sealed)
    assert "an agent of a framework whose calls this does not know" in _out(capsys, foreign)
    assert "The run before these, " in _out(capsys, str(later))


def _out(capsys: Any, *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


# Output


GOLDEN = """\
both_hands · BothHands · 1 run · 4 turns
turn  activity               decided_by  attempts  status     waited  ran
   1  invoke_model_activity  plugin             1  completed  0 s     0 s
   1  record                 agent              1  completed  0 s     0 s
   1  invoke_model_activity  plugin             1  completed  0 s     0 s
   1  record                 workflow           1  completed  0 s     0 s
   2  record                 workflow           1  completed  0 s     0 s
   2  invoke_model_activity  plugin             1  completed  0 s     0 s
   2  record                 agent              1  completed  0 s     0 s
   2  invoke_model_activity  plugin             1  completed  0 s     0 s
   3  record                 workflow           1  completed  0 s     0 s
   3  invoke_model_activity  plugin             1  completed  0 s     0 s
   3  record                 agent              1  completed  0 s     0 s
   3  invoke_model_activity  plugin             1  completed  0 s     0 s
   4  invoke_model_activity  plugin             1  completed  0 s     0 s
   4  record                 workflow           1  completed  0 s     0 s
      record                 workflow           1  completed  0 s     0 s
"""


def test_the_table_in_a_pipe_is_plain(desk: str, capsys: Any):
    assert shown(capsys, desk) == GOLDEN
    two = GOLDEN.splitlines()
    assert shown(capsys, desk, "--turn", "2").splitlines() == [*two[:2], *two[6:10]]
    events = shown(capsys, desk, "--events", "--turn", "4").splitlines()
    assert [line.split()[3] for line in events[2:]][:2] == [
        "WorkflowExecutionUpdateAccepted",
        "ActivityTaskScheduled",
    ]


def test_the_four_questions_are_a_few_lines_each(tmp_path: Path, capsys: Any):
    [file] = saved(tmp_path, "outage")
    assert shown(capsys, file, "--questions").endswith("""
fails_twice, 2 ×
  who decides that it runs?          workflow
  who decides with which arguments?  code
  may the reply wait for it?         perhaps: closed before the reply (1); no reply on record (1)
  what if it never succeeds?         tried without limit
  its timeouts and retries           an attempt 20 s, attempts without limit after 1 h × 2 up to 100 h
  what ended it                      completed (1); not ended (1)
""")


def test_on_a_terminal_it_has_colours_and_keeps_the_width(desk: str, monkeypatch: Any):
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    def lines(**environment: str) -> list[str]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        terminal = Terminal(io.BytesIO(), encoding="utf-8")
        with contextlib.redirect_stdout(terminal):
            assert main([desk]) == 0
        terminal.flush()
        return terminal.buffer.getvalue().decode().splitlines()[1:]

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[34magent" in lines(COLUMNS="200")[2]
    narrow = lines(COLUMNS="60", NO_COLOR="1")
    assert max(map(len, narrow)) <= 60
    assert "invoke_m…" in narrow[1]
    assert "\x1b" not in "".join(narrow)


def test_what_a_record_holds_cannot_steer_a_terminal():
    evil = "\x1b[2J\x9bred\u202eback\nline"
    assert one_line(evil) == "[2J red back line"
    wide = pd.DataFrame({"name": ["植物の注文", "e\u0301"], "evil": [evil, None]})
    assert list(table_text(wide)) == [
        "name        evil",
        "植物の注文  [2J red back line",
        "e\u0301",
    ]


def test_csv_and_json_are_what_other_programs_read(desk: str, tmp_path: Path, capsys: Any):
    [outage] = saved(tmp_path, "outage")
    table = activity_table(runs("outage"), times=True)
    rows = list(csv.DictReader(io.StringIO(shown(capsys, desk, outage, "--csv"))))
    assert [row["workflow_id"] for row in rows] == ["both_hands"] * 15 + ["outage"] * len(table)
    late = next(row for row in rows if row["activity"] == "fails_twice")
    assert (late["attempts"], float(late["waited"])) == ("3", 10_800)
    assert pd.Timestamp(late["scheduled"]) == table[table.activity == "fails_twice"].scheduled.iloc[0]
    assert json.loads(late["input"]) == table[table.activity == "fails_twice"].input.iloc[0]
    objects = [json.loads(line) for line in shown(capsys, outage, "--json").splitlines()]
    assert [one["input"] for one in objects] == list(table.input)
    assert objects[-1]["attempts"] is None
    strange = pd.DataFrame({"input": [["\ud800", {"rate": float("nan")}]], "turn": pd.array([None], "Int64")})
    assert list(json_lines(strange)) == ['{"input": ["\\ud800", {"rate": null}], "turn": null}']


def test_parquet_says_what_it_needs_or_writes(desk: str, tmp_path: Path, capsys: Any, monkeypatch: Any):
    def no_engine(self: pd.DataFrame, *_: Any, **__: Any) -> None:
        raise ImportError("Unable to find a usable engine")

    file = str(tmp_path / "out.parquet")
    monkeypatch.setattr(pd.DataFrame, "to_parquet", no_engine)
    assert "pip install pyarrow" in refused(capsys, desk, "--parquet", file)
    written: list[Any] = []
    monkeypatch.setattr(pd.DataFrame, "to_parquet", lambda self, name, index: written.append((self, name)))
    assert shown(capsys, desk, "--parquet", file) == ""
    [(table, name)] = written
    assert (name, list(table.decided_by)) == (file, list(activity_table(runs("both_hands")).decided_by))


@pytest.mark.parametrize(("kind", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_the_timeline_is_a_picture(kind: str, begins: bytes, desk: str, tmp_path: Path, capsys: Any):
    file = tmp_path / f"out.{kind}"
    assert shown(capsys, desk, "--timeline", str(file)) == ""
    assert file.read_bytes().startswith(begins)


# The page


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_needs_no_network_and_reads_by_keyboard_and_aloud(desk: str, tmp_path: Path, capsys: Any):
    file = tmp_path / "out.html"
    assert shown(capsys, desk, "--html", str(file)) == ""
    text = file.read_text()
    found = Page(text)
    assert found.all("html") == [{"lang": "en"}]
    assert len(found.all("h1")) == 1
    assert not {tag for tag, _ in found.tags} & {"script", "link", "iframe", "a", "form"}
    references = [
        v for _, attributes in found.tags for k, v in attributes.items() if k in ("src", "href", "style")
    ]
    assert len(references) == 1
    assert references[0].startswith("data:image/png;base64,")
    assert "default-src 'none'" in text
    [image] = found.all("img")
    assert image["alt"].startswith("Timeline of 4 turns. plugin: 7 × invoke_model_activity")
    assert len(found.all("details")) == len(found.all("summary")) == 5
    assert len(found.all("table")) == len(found.all("caption")) == 7
    assert {cell["scope"] for cell in found.all("th")} == {"row", "col"}
    regions = found.all("div")
    assert all(region["tabindex"] == "0" and region["aria-label"] for region in regions)
    assert len({region["aria-label"] for region in regions}) == 7


def test_the_page_escapes_all_that_the_record_holds():
    evil = "</td><script>alert('x')</script>"
    text = json.dumps(runs("both_hands")[0])
    for name in ('"record"', '"BothHands"', '"send"'):
        text = text.replace(name, json.dumps(evil + name[1:-1]))
    shown = page(read(text.encode()), title=evil)
    Page(shown)
    assert "<script" not in shown
    assert "&lt;script&gt;alert(&#x27;x&#x27;)" in shown
