"""What a lesson says of Temporal, the SDKs or a protocol, and its outputs do not show, has a source (tests/claims)."""

import re
from collections import Counter

from tests.claims.register import ROOT, Claim, Source, claims, functions, lessons, stale, text

HEARTBEATS = Source("temporalio", "1.35.0", "temporalio/worker.py", 3, "80% of the timeout")
MADE_UP = [
    Claim("08", "The first sentence.", source=(HEARTBEATS,)),
    Claim("08", "The second sentence.", source=(HEARTBEATS,)),
    Claim("08", "A sentence with a test.", test="tests/test_x.py::test_y"),
]
AS_READ = ["", "", "# 80% of the timeout", ""]


def test_every_lesson_has_a_register() -> None:
    assert {file.stem for file in (ROOT / "tests/claims").glob("*.toml")} >= set(lessons())


def test_a_sentence_is_in_its_lesson_and_once_in_the_register() -> None:
    gone = [claim for claim in claims() if " ".join(claim.sentence.split()) not in text(claim.lesson)]
    assert not gone, "No longer in the lesson: " + "".join(f"\n{one.lesson}: {one.sentence}" for one in gone)
    twice = [one for one, n in Counter((claim.lesson, claim.sentence) for claim in claims()).items() if n > 1]
    assert not twice


def test_every_claim_has_a_proof() -> None:
    without = [claim for claim in claims() if not (claim.test or claim.measured or claim.source)]
    assert not without


def test_each_test_and_measurement_that_is_named_is_there() -> None:
    proofs = {proof for claim in claims() for proof in (claim.test, claim.measured) if proof}
    split = {proof: proof.partition("::") for proof in proofs}
    gone = [proof for proof, (path, _, name) in split.items() if name not in functions(path)]
    assert not gone, f"Named as a proof, and not there: {sorted(gone)}"


def test_no_source_is_stale() -> None:
    found = stale(claims())
    assert not found, (
        f"{len(found)} sources have to be read again. Does each still say what the lesson says? Then write its "
        "version and line into the register; else change the lesson.\n" + "\n".join(found)
    )


def test_a_version_that_has_moved_names_every_entry_and_the_new_place_of_its_line() -> None:
    moved = ["", "", "", "", *AS_READ]
    found = stale(MADE_UP, version=lambda package: "1.36.0", lines=lambda source: moved)
    assert [re.sub(r"\s+", " ", one) for one in found] == [
        f"08: The {n} sentence. temporalio 1.35.0, temporalio/worker.py:3, “80% of the timeout”: "
        "read 1.36.0, now at line 7"
        for n in ("first", "second")
    ]
    assert len(stale(MADE_UP, version=lambda package: "1.36.0", lines=lambda source: AS_READ)) == 2


def test_a_line_that_has_moved_under_the_same_version_is_found() -> None:
    def stale_in(lines: list[str]) -> list[str]:
        return stale(MADE_UP[:1], version=lambda package: "1.35.0", lines=lambda source: lines)

    assert stale_in(AS_READ) == []
    two_places = ["# 80% of the timeout", *AS_READ]
    assert stale_in(two_places)[0].endswith("now at line 4")
    assert stale_in(["nothing of the kind"])[0].endswith("gone from there")
    assert stale_in([])[0].endswith("gone from there")


def test_a_test_is_found_by_its_name_without_running_it() -> None:
    assert "test_a_test_is_found_by_its_name_without_running_it" in functions("tests/test_claims.py")
    assert functions("tests/test_that_is_not_there.py") == set()
