"""Lessons 00 and 03 in JupyterLab, in a real browser: `make browser-test`.

Runs every cell as a person would (Run, then Run All Cells) and looks at the page: are the tables there, and
the figure? nbval compares what a kernel returns; only this sees what a reader sees.
Pictures of the pages go to the folder named by SCREENSHOTS, if it is set. `make pictures` takes the README's
two pictures from these pages.
"""

import os
import shutil
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
}


@contextmanager
def jupyterlab():
    """JupyterLab on a copy of the lessons, so that running them changes no file of the project."""
    [port] = free_ports(1)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "notebooks", f"{folder}/notebooks")
        settings = Path(folder, "settings/@jupyterlab/notebook-extension/tracker.jupyterlab-settings")
        settings.parent.mkdir(parents=True)
        settings.write_text('{"windowingMode": "none"}')  # draw every cell, also those out of view
        command = [str(Path(sys.executable).with_name("jupyter-lab")), "--no-browser", f"--port={port}"]
        command += [
            "--ServerApp.port_retries=0",
            "--IdentityProvider.token=",
            f"--ServerApp.root_dir={folder}",
        ]
        command += ["--allow-root", "--LabApp.news_url="]
        command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
        own = {"JUPYTER_CONFIG_DIR": f"{folder}/config", "JUPYTER_DATA_DIR": f"{folder}/data"}
        with open(f"{folder}/log", "wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | own)
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
            process.terminate()
            process.wait(20)


def read_lesson(page, address: str, lesson: str, words: list[str]) -> None:
    page.goto(f"{address}/lab/tree/notebooks/{lesson}.ipynb?reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", state="attached")
    page.click("text=Edit")
    page.click("text=Clear Outputs of All Cells")
    page.wait_for_function("document.querySelectorAll('.jp-OutputArea-output table').length === 0")
    page.click("text=Run >> nth=0")
    page.click("text=Run All Cells")
    page.wait_for_function(DONE, timeout=120_000)

    tables = page.locator(".jp-OutputArea-output table").all_inner_texts()
    for word in words:
        assert any(word in table for table in tables), f"{lesson}: no table on the page shows {word!r}"
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
    else:
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
            read_lesson(page, address, lesson, CELLS.get(lesson, []))
            if pictures:
                page.screenshot(path=f"{pictures}/{lesson}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
