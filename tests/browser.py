"""Lessons in JupyterLab, in a real browser, as `make lab` opens them: `make browser-test`.

Looks at a lesson as a reader first sees it (no output, no dialog, the answers folded), runs every cell as they would
(Run, then Run All Cells), and looks again: are the tables there, and the figure? nbval compares what a kernel
returns; only this sees what a reader sees.
Pictures of the pages go to the folder named by SCREENSHOTS, if it is set. `make pictures` takes the README's
two pictures from these pages.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from course.lab.server import free_ports

ROOT = Path(__file__).parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CELLS = {
    "00_start_here": ["decided_by", "look_up_order"],
    "03_workflow_decides": ["decided_by", "process_batch"],
    "04_who_decided": ["decided_by"],
    "10_ask_a_human": ["decided_by"],
}


@contextmanager
def jupyterlab():
    """What `make lab` opens for somebody who has never started JupyterLab, in a project whose lessons are a copy."""
    [port] = free_ports(1)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "project")
        ignored = shutil.ignore_patterns("my_work", ".*")
        shutil.copytree(ROOT / "notebooks", project / "notebooks", ignore=ignored)
        for name in ("course", "Makefile", "pyproject.toml", "requirements.lock"):
            (project / name).symlink_to(ROOT / name)
        home = Path(folder, "home")
        settings = (
            home / ".jupyter/lab/user-settings/@jupyterlab/notebook-extension/tracker.jupyterlab-settings"
        )
        settings.parent.mkdir(parents=True)
        settings.write_text('{"windowingMode": "none"}')  # draw every cell, also those out of view
        arguments = (
            f"--no-browser --port={port} --ServerApp.port_retries=0 --IdentityProvider.token= --allow-root"
        )
        without = {
            name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "XDG_"))
        }
        with open(f"{folder}/log", "wb") as log:
            process = subprocess.Popen(
                ["make", f"VENV={sys.prefix}", "-o", f"{sys.prefix}/.made", "lab", f"ARGS={arguments}"],
                cwd=project,
                stdout=log,
                stderr=log,
                env=without | {"HOME": str(home)},
                start_new_session=True,
            )
        try:
            address = f"http://127.0.0.1:{port}"
            while True:
                try:
                    urllib.request.urlopen(f"{address}/api", timeout=1)
                    break
                except OSError:
                    if process.poll() is not None:
                        sys.exit(Path(f"{folder}/log").read_text())
                    time.sleep(0.1)
            yield address
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)


def open_lesson(page, address: str, lesson: str) -> None:
    """Opens a lesson, and looks at it as a reader first sees it."""
    page.goto(f"{address}/lab/tree/{lesson}.ipynb?reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.wait_for_selector("#jp-main-statusbar >> text=| Idle")  # before that, Run All Cells does nothing
    for what in (".jp-OutputArea-output", ".jp-Dialog", ".Toastify__toast", ".jp-Notebook details[open]"):
        assert page.locator(what).count() == 0, f"{lesson}: at first there is {what}"
    for answer in page.locator(".jp-Notebook details").all():
        text = answer.locator(":scope > :not(summary)").first
        assert not text.is_visible(), f"{lesson}: an answer is not folded"
        answer.locator("summary").click()
        assert text.is_visible(), f"{lesson}: an answer does not open"


def run_lesson(page, lesson: str, words: list[str]) -> None:
    page.click("text=Run >> nth=0")
    page.click("text=Run All Cells")
    page.wait_for_function(DONE, timeout=120_000)

    tables = page.locator(".jp-OutputArea-output table").all_inner_texts()
    for word in words:
        assert any(word in table for table in tables), f"{lesson}: no table on the page shows {word!r}"
    if "decided_by" in words:
        colours = page.locator(".jp-OutputArea-output td > span[style^=background]")
        assert colours.count(), f"{lesson}: no decider has its colour"
        assert colours.first.bounding_box()["width"] > 8, f"{lesson}: the colours are too small to see"
    figure = page.locator(".jp-OutputArea-output img").first
    box = figure.bounding_box()
    assert box, f"{lesson}: there is no figure on the page"
    assert box["width"] > 300, f"{lesson}: the figure is {box['width']:.0f} pixels wide"
    stderr = ".jp-OutputArea-output [data-mime-type='application/vnd.jupyter.stderr']"
    errors = page.locator(stderr).all_inner_texts()
    assert all("Traceback" not in error for error in errors), f"{lesson}: {errors}"
    print(f"{lesson}: {len(tables)} tables and the figure are on the page.")
    if os.environ.get("README_PICTURES"):
        take_pictures(page, lesson)


def take_pictures(page, lesson: str) -> None:
    figures = ROOT / "notebooks" / "figures"
    if lesson.startswith("00"):
        table = page.locator(".jp-OutputArea-output table", has_text="decided_by").first
        table.screenshot(path=figures / "activity_table.png")
    elif lesson.startswith("03"):
        page.locator(".jp-OutputArea-output img").first.screenshot(path=figures / "timeline.png")


# Every code cell has run: it has a number, and none is waiting ([*]).
DONE = """() => {
  const prompts = [...document.querySelectorAll('.jp-Notebook .jp-CodeCell .jp-InputPrompt')].map(p => p.innerText);
  return prompts.length > 0 && prompts.every(p => /\\[\\d+\\]/.test(p));
}"""


def main() -> None:
    browser_path = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser_path is None:
        sys.exit(
            "No browser was found. Install one (apt-get install chromium) and run make browser-test again."
        )
    from playwright.sync_api import sync_playwright

    pictures = os.environ.get("SCREENSHOTS")
    with jupyterlab() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
        )
        for lesson in sys.argv[1:] or CELLS:
            page = browser.new_page(device_scale_factor=2, viewport={"width": 1280, "height": 12_000})
            open_lesson(page, address, lesson)
            run_lesson(page, lesson, CELLS.get(lesson, []))
            if pictures:
                page.screenshot(path=f"{pictures}/{lesson}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
