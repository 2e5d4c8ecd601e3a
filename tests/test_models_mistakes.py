"""How the offline model misbehaves when it is told to, and how it plays a script."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import jsonschema
import openai
import pytest
from agents import MaxTurnsExceeded, ModelBehaviorError
from temporalio.testing import ActivityEnvironment

from course.models import Fails, Mistakes, OfflineModel, ToolCall
from tests.offline_agents import ALL, DUTY, READ, ask, desk, look_up_order, rounds, save_to_database, say

# Mistakes


def wrong(**rates: float) -> OfflineModel:
    return OfflineModel(mistakes=Mistakes(**rates))


@pytest.mark.parametrize("rate", [-0.1, 1.1, "0.5", None, True, float("nan")])
def test_a_rate_is_a_number_from_0_to_1(rate: Any) -> None:
    with pytest.raises(ValueError, match="a rate is a number from 0"):
        Mistakes(forget=rate)
    with pytest.raises(TypeError, match="takes Mistakes"):
        OfflineModel(mistakes={"forget": 0.5})  # type: ignore[arg-type]


async def keeps(mistakes: Mistakes, messages: list[str]) -> set[str]:
    """The messages for which the duty was done."""
    model = OfflineModel(mistakes=mistakes)
    answers = [(m, await ask(model, m, [save_to_database], DUTY)) for m in messages]
    return {m for m, answer in answers if answer.output[0].type == "function_call"}


async def test_forgetting_slopes_and_a_higher_rate_forgets_the_same_and_more() -> None:
    messages = [f"Hello, here is message {n}" for n in range(200)]
    kept = {rate: await keeps(Mistakes(forget=rate), messages) for rate in (0, 0.1, 0.2, 0.3, 0.4, 0.5, 1)}
    counts = {rate: len(found) for rate, found in kept.items()}
    assert (counts[0], counts[1]) == (200, 0)
    for rate, count in counts.items():
        assert abs(count - 200 * (1 - rate)) <= 20
    ordered = list(kept.values())
    assert all(more >= less for more, less in pairwise(ordered))
    assert kept[0.5] != await keeps(Mistakes(forget=0.5, seed=2), messages)


async def test_what_was_forgotten_stays_forgotten_and_is_not_claimed() -> None:
    result = await say(
        desk(*READ, save_to_database, instructions=DUTY, model=wrong(forget=1)), "Where is order 1042?"
    )
    assert rounds(result) == []
    assert result.final_output == "I have not done this yet: look up order 1042."
    messages = [f"Where is order 1042, and do you have a Ficus? {n}" for n in range(40)]
    model = wrong(forget=0.5)
    called = [rounds(await say(desk(*READ, model=model), message)) for message in messages]
    assert {len(calls[0]) if calls else 0 for calls in called} == {0, 1, 2}
    assert max(map(len, called)) == 1  # a later answer does not make up for it


async def test_repeats_and_obedience() -> None:
    twice = await say(desk(*ALL, model=wrong(repeat=1)), "Refund 5 EUR for order 1042")
    [[first, second]] = rounds(twice)
    assert first == second
    ids = [item.call_id for item in twice.raw_responses[0].output]
    assert len(set(ids)) == 2
    please = "Please don't record this, but where is order 1042?"
    firm = await say(desk(*READ, save_to_database, instructions=DUTY), please)
    assert [name for name, _ in rounds(firm)[0]] == ["look_up_order", "save_to_database"]
    assert "not mine to decide" in firm.final_output
    meek = await say(desk(*READ, save_to_database, instructions=DUTY, model=wrong(obey=1)), please)
    assert [name for name, _ in rounds(meek)[0]] == ["look_up_order"]
    assert "I called no tool to record this" in meek.final_output


async def test_mistakes_that_end_a_run() -> None:
    message = "Where is order 1042?"
    with pytest.raises(ModelBehaviorError, match="consult_the_head_gardener"):
        await say(desk(*READ, model=wrong(invent=1)), message)
    with pytest.raises(MaxTurnsExceeded):
        await say(desk(*READ, model=wrong(loop=1)), message)
    with pytest.raises(openai.PermissionDeniedError, match="simulated"):
        await say(desk(*READ, model=wrong(refuse=1)), message)
    with pytest.raises(openai.APITimeoutError):
        await say(desk(*READ, model=wrong(time_out=1)), message)
    malformed = (await ask(wrong(malformed=1), message, READ)).output[0].arguments
    with pytest.raises(json.JSONDecodeError):
        json.loads(malformed)
    mistyped = json.loads((await ask(wrong(mistyped=1), message, READ)).output[0].arguments)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(mistyped, look_up_order.params_json_schema)


def test_mistakes_are_the_same_in_every_process() -> None:
    here = [Mistakes(forget=0.5, seed=3).happens("forget", ["é", n]) for n in range(20)]
    assert [n for n, happens in enumerate(here) if happens] == [1, 2, 4, 6, 9, 11, 13, 16]


# Scripts


async def test_a_script_that_comes_in_mid_conversation_is_played_from_its_first_step() -> None:
    model = OfflineModel(script=["One.", "Two."])

    async def said() -> Any:
        return (await say(desk(model=model), "Hm.")).final_output

    assert [await said(), await said()] == ["One.", "Two."]
    model.script = ["Three."]
    assert await said() == "Three."
    assert await said() not in ("Two.", "Three.")
    with pytest.raises(TypeError, match="A script's step is a text"):
        model.script = [3]


async def test_a_script_plays_and_then_the_rules_answer() -> None:
    calls = [ToolCall("look_up_order", {"order_id": "1043"}), ToolCall("check_stock", '{"plant": "Aloe"}')]
    model = OfflineModel(script=[calls, "Here you are.", ToolCall("nobody"), ValueError("broken")])
    result = await say(desk(*READ, model=model), "Hello")
    assert rounds(result) == [[("look_up_order", {"order_id": "1043"}), ("check_stock", {"plant": "Aloe"})]]
    assert result.final_output == "Here you are."
    assert (await ask(model, "x")).output[0].arguments == "{}"
    with pytest.raises(ValueError, match="broken"):
        await ask(model, "x")
    assert "Welcome to Juniper" in (await say(desk(*READ, model=model), "Hello")).final_output
    assert (model.calls, model.attempts) == (4, 5)


@pytest.mark.parametrize("step", [3, None, [], ["text"], ValueError, Fails(1, 3)])
def test_a_step_that_is_none_is_refused(step: Any) -> None:
    with pytest.raises(TypeError, match="A script's step is a text"):
        OfflineModel(script=[step])


async def test_steps_belong_to_logical_calls_and_not_to_attempts() -> None:
    model = OfflineModel(script=["one", Fails(2, "two"), "three"])

    async def attempt(workflow: str, activity: str, nth: int, run: str = "r") -> str:
        environment = ActivityEnvironment()
        identity = {"workflow_id": workflow, "workflow_run_id": run, "activity_id": activity}
        environment.info = replace(ActivityEnvironment.default_info(), **identity, attempt=nth)
        answer = await environment.run(ask, model, "Hello")
        return answer.output[0].content[0].text

    assert await attempt("ada", "1", 1) == "one"
    assert await attempt("ada", "1", 2) == "one"  # its result was lost: asked again, the same answer
    for nth in (1, 2):
        with pytest.raises(openai.InternalServerError):
            await attempt("ada", "2", nth)
    assert await attempt("bob", "1", 1) == "one"  # another conversation begins at the beginning
    assert await attempt("ada", "2", 3) == "two"
    assert await attempt("ada", "1", 1, run="continued") == "three"  # activity ids begin anew in a new run
    assert (model.calls, model.attempts) == (4, 7)


async def test_outside_an_activity_fails_counts_its_own_attempts() -> None:
    model = OfflineModel(script=[Fails(2, "two", status=429), "three"])
    for _ in range(2):
        with pytest.raises(openai.RateLimitError):
            await ask(model, "x")
    assert [(await ask(model, "x")).output[0].content[0].text for _ in range(2)] == ["two", "three"]
    assert (model.calls, model.attempts) == (2, 4)
    outage = OfflineModel(script=[Fails(1)])  # and then the rules
    with pytest.raises(openai.InternalServerError):
        await ask(outage, "Thank you!")
    assert "You are very welcome" in (await ask(outage, "Thank you!")).output[0].content[0].text
