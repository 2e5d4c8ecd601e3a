"""Desks that each break one promise: the right one with a small edit. `harm` is what a customer would see of it."""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
FILES = ("desk.py", "effects.py")

SAVES = "            await do(save_turn, key, self.customer, text, answer)\n"
TELLS = """            notice = do(send_mail, f"{key}/notice", "team", f"{self.customer}: {text}")
            self.duties.append(asyncio.create_task(notice))
"""
REMINDS = '            self.reminder = asyncio.create_task(self.remind(f"{key}/reminder"))\n'
SLEEPS = "        await workflow.sleep(PATIENCE)\n"


@dataclass(frozen=True)
class Mutant:
    """A desk that breaks a promise.

    Attributes:
        name: What its code does.
        harm: What that does to a customer. It goes on after "a desk with which".
        edits: Old texts and new ones. Each old one is in one place of one of the files.
        had_its_own: Whether the conversation on record is one of its own: its commands are others, and that is not what it
            is about. Otherwise the right desk had it, yesterday.
    """

    name: str
    harm: str
    edits: tuple[tuple[str, str], ...] = ()
    had_its_own: bool = False

    def files(self) -> dict[str, str]:
        """Its files, by name."""
        files = right()
        for old, new in self.edits:
            [file] = [name for name, text in files.items() if text.count(old) == 1]
            files[file] = files[file].replace(old, new)
        return files


def right() -> dict[str, str]:
    return {name: (FOLDER / name).read_text() for name in FILES}


def otherwise() -> dict[str, str]:
    return right() | {"desk.py": (FOLDER / "otherwise.py").read_text()}


MUTANTS = {
    mutant.name: mutant
    for mutant in (
        Mutant(
            "the agent saves",
            "what Ada wrote is on record only if the model feels like it",
            (
                (SAVES, ""),
                (
                    "[function_tool(self.request_refund)]",
                    "[function_tool(self.request_refund), activity_as_tool(save_turn, **BOUNDS)]",
                ),
                (
                    "import AgentsWorkflowError\n",
                    "import AgentsWorkflowError\nfrom temporalio.openai_agents.workflow import activity_as_tool\n",
                ),
            ),
            had_its_own=True,
        ),
        Mutant(
            "any order",
            "Ada is paid for an order of Ben's, because the model named it",
            ((' AND customer = ?", order, customer)', '", order)'),),
        ),
        Mutant(
            "told before the reply",
            "Ada gets no reply for as long as the team's mail server is down",
            (
                (
                    TELLS,
                    '            await do(send_mail, f"{key}/notice", "team", f"{self.customer}: {text}")\n',
                ),
            ),
            had_its_own=True,
        ),
        Mutant(
            "three attempts",
            "the team never hears of Ada's message, because its mail server was down for a minute",
            (("RetryPolicy(", "RetryPolicy(maximum_attempts=3, "),),
        ),
        Mutant(
            "random key",
            "the team gets a mail twice, and answers Ada twice, when a worker dies after sending it",
            (
                ('outbox VALUES (?, ?, ?)", key,', 'outbox VALUES (?, ?, ?)", str(uuid4()),'),
                ("import sqlite3\n", "import sqlite3\nfrom uuid import uuid4\n"),
            ),
        ),
        Mutant(
            "changed command",
            "every conversation that was open at its deployment freezes, and nobody there gets another reply",
            ((TELLS, ""), (REMINDS, REMINDS + TELLS)),
        ),
        Mutant(
            "saved after the reply",
            "Ada has a reply that is on nobody's record, as long as the database is down",
            (
                (SAVES, ""),
                (
                    TELLS,
                    "            saved = do(save_turn, key, self.customer, text, answer)\n"
                    "            self.duties.append(asyncio.create_task(saved))\n" + TELLS,
                ),
            ),
            had_its_own=True,
        ),
        Mutant(
            "decided twice",
            "a second click pays a refund that a colleague has refused, or pays it a second time",
            (
                ("self.asked.pop(order, None)", "self.asked.get(order)"),
                ('f"refund-{order}"', 'f"refund-{workflow.uuid4()}"'),
            ),
        ),
        Mutant(
            "never cancelled",
            "Ada answers on day 20, and is reminded on day 30 as if she had not",
            (("            self.stop_reminder()\n            self.turns", "            self.turns"),),
            had_its_own=True,
        ),
        Mutant(
            "swallowed cancellation",
            "Ada is reminded at the very moment at which she answers",
            (
                (
                    SLEEPS,
                    "        try:\n            await workflow.sleep(PATIENCE)\n"
                    "        except asyncio.CancelledError:\n            pass\n",
                ),
            ),
            had_its_own=True,
        ),
    )
}
