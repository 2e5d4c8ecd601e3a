"""Builds an environment from environment.yml's pip part, with pip and not uv, and runs a turn in it.

`make conda-test`. Slow (a minute or two): what conda does with that part is what pip does with it.
"""

import os
import subprocess
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]

TURN = """
import asyncio
from course import Lab
from course.desk import ConversationWorkflow

async def main():
    async with await Lab.start() as lab:
        chat = await lab.converse(ConversationWorkflow, "ada")
        print(await chat.send("Where is order 1042?"))
        assert (await chat.activities()).decided_by.tolist() == ["plugin", "agent", "plugin", "workflow", "workflow"]

asyncio.run(main())
"""


def pip_part() -> list[str]:
    """The lines under `pip:` of environment.yml."""
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    return next(part["pip"] for part in dependencies if isinstance(part, dict))


def main() -> None:
    python = os.environ.get("PYTHON", "python3")
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text("\n".join(pip_part()) + "\n")
        subprocess.run([python, "-m", "venv", f"{folder}/env"], check=True)
        pip = [f"{folder}/env/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(requirements)], check=True, cwd=ROOT)
        subprocess.run([f"{folder}/env/bin/python", "-c", TURN], check=True, cwd=folder)
    print("environment.yml: installed with pip, and a turn ran.")


if __name__ == "__main__":
    main()
