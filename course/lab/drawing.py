"""A state machine as a figure, drawn from its data."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from course.history.path import FAINT, INK, MOVERS, draw_legend
from course.lessons.lesson_11.machine import Machine

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

_WIDE, _HIGH = 3.3, 2.1  # half the axes of the ellipse that the states stand on


def draw_machine(machine: Machine) -> "Figure":
    """A figure of a machine: its states, in the order of its data, on an ellipse; what each state's agent
    may use stands below its name; an arrow is a legal move, in the colour of who may make it.
    """
    from course.history.picture import Picture  # half a second: only who draws pays for it

    figure = Picture(figsize=(7.4, 5.2), layout="constrained")
    axes = figure.add_subplot()
    boxes = {}
    for number, (name, state) in enumerate(machine.states.items()):
        angle = math.radians(150 - 360 * number / len(machine.states))  # from the upper left on, clockwise
        place = (_WIDE * math.cos(angle), _HIGH * math.sin(angle))
        boxes[name] = _draw_state(axes, name, state.tools, place, name == machine.start)
    ways: Counter[tuple[str, str]] = Counter()
    for move in machine.moves:
        ways[move.from_state, move.to_state] += 1
        number = ways[move.from_state, move.to_state]
        _draw_move(axes, boxes[move.from_state], boxes[move.to_state], move.by, number)
    axes.set_xlim(-_WIDE - 1, _WIDE + 1)
    axes.set_ylim(-_HIGH - 0.8, _HIGH + 0.8)
    axes.axis("off")
    draw_legend(axes, [move.by for move in machine.moves])
    title = "The machine: states, their tools, and who may move"
    axes.set_title(title, fontsize=10, loc="left", color=INK)
    states = [f"{name} ({', '.join(state.tools) or 'no tools'})" for name, state in machine.states.items()]
    moves = [f"{move.from_state} → {move.to_state} by the {move.by}" for move in machine.moves]
    figure.description = f"States and their tools: {'; '.join(states)}. Legal moves: {'; '.join(moves)}."
    return figure


def _draw_state(
    axes: "Axes", name: str, tools: Sequence[str], place: tuple[float, float], is_start: bool
) -> "FancyBboxPatch":
    from matplotlib.patches import FancyBboxPatch

    (x, y), lines = place, tools or ("no tools",)
    high = 0.32 + 0.16 * len(lines)
    looks = {"boxstyle": "round,pad=0.08", "facecolor": "#ececec", "edgecolor": INK if is_start else FAINT}
    box = axes.add_patch(FancyBboxPatch((x - 0.65, y - high / 2), 1.3, high, **looks))
    axes.text(x, y + high / 2, name, ha="center", va="top", fontsize=10, weight="bold", color=INK)
    axes.text(x, y - high / 2, "\n".join(lines), ha="center", va="bottom", fontsize=7, color=INK)
    return box


def _draw_move(axes: "Axes", start: "FancyBboxPatch", end: "FancyBboxPatch", by: str, number: int) -> None:
    """A second arrow on the same way bends further."""
    colour, dashes = MOVERS[by]
    bend = f"arc3,rad={0.12 + 0.16 * (number - 1)}"
    line = {
        "arrowstyle": "-|>",
        "color": colour,
        "linestyle": dashes,
        "linewidth": 1.6,
        "connectionstyle": bend,
    }
    ends = {"shrinkA": 2, "shrinkB": 2, "patchA": start, "patchB": end}
    axes.annotate("", _middle(end), _middle(start), arrowprops=line | ends)


def _middle(box: "FancyBboxPatch") -> tuple[float, float]:
    return box.get_x() + box.get_width() / 2, box.get_y() + box.get_height() / 2
