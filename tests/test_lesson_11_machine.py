"""Lesson 11's machine checks itself, is read by the offline model, and is told and drawn from its record."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from course.desk.activities import look_up_order
from course.history import path, path_table
from course.lab.drawing import draw_machine
from course.lessons.lesson_11.machine import Move, State
from course.lessons.lesson_11.ticket import MOVES, STATES, TICKET, agent_of
from course.models.filling import choices
from tests.replay.record import RECORDED

# The machine checks itself


def changed(*moves: Move, **states: State) -> None:
    replace(TICKET, states=STATES | states, moves=(*MOVES, *moves))


@pytest.mark.parametrize(
    ("moves", "states", "words"),
    [
        ([Move("triage", "gone", "model")], {}, "there is no state 'gone'. There are: triage, "),
        ([Move("triage", "confirm", "boss")], {}, "moves are made by model, customer, staff, clock"),
        ([MOVES[0]], {}, "is there twice"),
        ([Move("resolve", "closed", "clock")], {}, "`after` is for the clock, which needs it"),
        ([Move("resolve", "closed", "staff", after=timedelta(1))], {}, "`after` is for the clock"),
        ([Move("closed", "triage", "customer")], {}, "the customer cannot choose, and has two moves there"),
        ([Move("confirm", "triage", "clock", after=timedelta(1))], {}, "the clock cannot choose"),
        ([], {"lonely": State("")}, "No moves lead from 'triage' to 'lonely'"),
        ([Move("triage", "trap", "model")], {"trap": State("")}, "a ticket there could never end"),
        (
            [Move("triage", "mute", "model"), Move("mute", "closed", "staff")],
            {"mute": State("", answers=False)},
            "'mute' has answers=False, so its model needs a move",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_machine_in_which_a_ticket_gets_lost_is_refused(moves: Any, states: Any, words: str) -> None:
    changed()
    with pytest.raises(ValueError, match=words) as error:
        changed(*moves, **states)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize(
    ("tools", "words"),
    [
        (
            "look_up_order",
            r"`tools` is a tuple, and one name in a tuple needs a comma: \('look_up_order',\)\.",
        ),
        (("lookup_order",), "'lookup_order' is not a tool. There are: look_up_order, check_stock, refund."),
        ((look_up_order,), "a function is not a tool. There are: look_up_order, "),
        (("look_up_order", "save_to_database"), "'save_to_database' is not a tool"),
    ],
)
def test_tools_that_are_none_are_refused_when_the_machine_is_made(tools: Any, words: str) -> None:
    with pytest.raises(ValueError, match=f"^The state 'resolve': {words}"):
        changed(resolve=replace(STATES["resolve"], tools=tools))


@pytest.mark.parametrize(
    ("slip", "words"),
    [
        ({"moves": (Move("resolve", "closed", "clock", after=2),)}, "such as timedelta.days=2., and not 2"),
        ({"moves": (Move("resolve", "closed", "clock", after="3 days"),)}, "and not '3 days'"),
        ({"moves": (MOVES, Move("resolve", "closed", "staff"))}, r"`moves` holds a tuple.*\(\*MOVES, Move\("),
        ({"states": (*STATES, State("x"))}, r"`states` is a dict.*STATES \| \{\"name\": State\("),
        ({"states": STATES | {"escalated": "Wait."}}, "The state 'escalated' is a str, not a State"),
    ],
)
def test_a_slip_in_the_data_is_told_in_a_sentence(slip: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        replace(TICKET, **slip)
    assert len(str(error.value)) < 145, "a check shortens what is longer"


def test_a_machine_without_its_start_or_end_is_refused() -> None:
    with pytest.raises(ValueError, match="The machine's start or end: there is no state 'begin'"):
        replace(TICKET, start="begin")


def test_the_offline_model_reads_in_its_instructions_what_it_may_propose() -> None:
    for name in STATES:
        told = str(agent_of(TICKET, name, "ada").instructions)
        assert list(choices("move", told)) == TICKET.legal(name, "model")
        assert choices("reply", told) == {}


# The figures


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text())["runs"]


def test_the_path_of_a_ticket_is_told_by_its_history() -> None:
    table = path_table(recorded("ticket"))
    assert " ".join(table.state[6:]) == "reopened clarify closed reopened resolve confirm closed"
    assert table.by.tolist()[6:] == ["customer", "model", "clock", "staff", "model", "model", "clock"]
    assert [int(spent.days) for spent in table.spent[6:]] == [0, 7, 1, 0, 0, 3, 14]
    figure = path(recorded("ticket"))
    assert "→ by the clock → closed (1 day) → by the staff → reopened" in figure.description
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts.count("14 days") == 1
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["model", "customer", "staff", "clock"]


def test_what_was_refused_and_what_goes_on_stands_in_the_path() -> None:
    table = path_table(recorded("ticket_refuses"))
    assert table.refused.tolist() == [5, 1]
    assert table.spent.isna().tolist() == [False, True]
    assert path(recorded("ticket_refuses")).description == (
        "Path of a ticket: triage (a moment, 5 refused) → by the model → resolve (is there, 1 refused)."
    )


def test_a_move_is_known_by_what_was_recorded_or_by_the_activity_that_did() -> None:
    history = recorded("ticket")
    table = path_table(history)
    assert path_table(history, "record_move").equals(table)
    assert path_table(history, "save_to_database").empty
    renamed = json.loads(json.dumps(history).replace('"record_move"', '"keep"'))
    assert path_table(renamed).equals(table)
    assert path_table(renamed, "record_move").empty


def test_a_history_without_moves_has_no_path() -> None:
    assert path_table(recorded("hello")).empty
    assert path(recorded("hello")).description == "Path of a ticket: no move on record."


def test_the_machine_is_drawn_from_its_data() -> None:
    states = STATES | {"asleep": State("", tools=("check_stock",))}
    moves = (Move("triage", "asleep", "staff"), Move("asleep", "closed", "clock", after=timedelta(days=1)))
    figure = draw_machine(replace(TICKET, states=states, moves=(*MOVES, *moves)))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {"asleep", "check_stock", *STATES} <= set(texts)
    arrows = [text for text in figure.axes[0].texts if getattr(text, "arrow_patch", None)]
    assert len(arrows) == len(MOVES) + 2
    assert "asleep → closed by the clock" in figure.description
