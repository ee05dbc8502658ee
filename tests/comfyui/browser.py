"""How does a test drive ComfyUI's page? In a headless Chromium, which has to be installed."""

import io
import os
import shutil
from pathlib import Path

import pytest

#: The names under which systems have Chromium.
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--force-color-profile=srgb", "--hide-scrollbars",
]  # fmt: skip
SIZE = {"width": 1360, "height": 820}
#: No dialog of a first start, nothing that would cover the canvas in a picture, and texts in nodes
#: at every scale.
SETTINGS = {
    "Comfy.TutorialCompleted": True, "Comfy.Graph.CanvasInfo": False,
    "Comfy.Minimap.Visible": False, "Comfy.Workflow.ShowMissingModelsWarning": False,
    "LiteGraph.Canvas.MinFontSizeForLOD": 0,
}  # fmt: skip
#: The longest wait for anything on the page. A compile takes most of it.
MOST_SECONDS = 100


def executable():
    """The Chromium to run: the one that the variable names, or the one on the search path."""
    named = os.environ.get("PREHEAT_TEST_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(
            "left out, because no Chromium was found: install it (on Debian, `apt-get install "
            "chromium`), or name one with PREHEAT_TEST_CHROMIUM"
        )
    return found


class Page:
    """ComfyUI's page in a browser."""

    def __init__(self, page, server, pictures):
        self.page, self.server, self._pictures = page, server, pictures
        self.errors = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.set_default_timeout(MOST_SECONDS * 1000)
        for setting, value in SETTINGS.items():
            status, _ = server.request("POST", f"/settings/{setting}", value)
            assert status == 200, setting
        page.goto(f"http://127.0.0.1:{server.port}/")
        self.wait(
            "() => !!window.app?.graph && 'TPUManualWarmup' in LiteGraph.registered_node_types"
        )

    def wait(self, condition, argument=None):
        """Waits until a function of JavaScript returns something true, and returns it."""
        wait = self.page.wait_for_function
        return wait(condition, arg=argument, timeout=MOST_SECONDS * 1000).json_value()

    def load(self, prompt, name="workflow"):
        """Opens a workflow that has the format of the API."""
        self.page.evaluate("([prompt, name]) => app.loadApiJson(prompt, name)", [prompt, name])
        self.wait("count => app.graph.nodes.length === count", len(prompt))
        # The warmup node grows when it shows its text. The page places the prompts close below it.
        self.page.evaluate(
            """() => app.graph.nodes.forEach((node) => {
                if (node.type === 'CLIPTextEncode') node.pos[1] += 110;
            })"""
        )

    def queue(self):
        """Queues the workflow on the page, and returns once it has ended, with the message."""
        return self.page.evaluate(
            """async () => {
                const { api } = await import('/scripts/api.js');
                const ends = ['execution_success', 'execution_error', 'execution_interrupted'];
                const end = new Promise((done) => ends.forEach((kind) =>
                    api.addEventListener(kind, () => done(kind), { once: true })));
                await app.queuePrompt(0, 1);
                return end;
            }"""
        )

    def set_input(self, kind, name, value):
        """Changes an input of a node as a person does: the page notices it at the next click."""
        self.page.evaluate(
            """([kind, name, value]) => {
                const node = app.graph.nodes.find((node) => node.type === kind);
                node.widgets.find((widget) => widget.name === name).value = value;
            }""",
            [kind, name, value],
        )
        # Two clicks that follow each other closely would be a double click.
        self.page.wait_for_timeout(800)
        self.page.mouse.click(SIZE["width"] - 200, SIZE["height"] - 120)

    def open_panel(self):
        """Opens preheat's panel, and returns it."""
        panel = self.page.locator(".preheat-panel")
        if not panel.is_visible():
            self.page.locator(".preheat-tab-button").click()
        panel.wait_for()
        return panel

    def wait_for_verdict(self, words):
        """Waits until the panel says that about the workflow."""
        self.wait(
            """words => {
                const chip = document.querySelector('.preheat-panel h3 .preheat-chip');
                return chip?.innerText === words;
            }""",
            words,
        )

    def fit(self, left=90):
        """Moves the canvas such that the whole workflow is seen, from that pixel on."""
        self.page.evaluate(
            """([left, top, right, bottom]) => {
                const edges = (at) => [
                    Math.min(...app.graph.nodes.map((node) => node.pos[at])),
                    Math.max(...app.graph.nodes.map((node) => node.pos[at] + node.size[at])),
                ];
                const [[x, toX], [y, toY]] = [edges(0), edges(1)];
                const { ds } = app.canvas;
                ds.scale = Math.min((right - left) / (toX - x), (bottom - top) / (toY - y), 1);
                ds.offset[0] = left / ds.scale - x;
                ds.offset[1] = top / ds.scale - y;
                app.canvas.setDirty(true, true);
            }""",
            [left, 140, SIZE["width"] - 30, SIZE["height"] - 90],
        )
        self.page.wait_for_timeout(700)

    def picture(self, name, settle_ms=400):
        """Takes a picture of the page, if a folder for pictures was named."""
        if self._pictures:
            from PIL import Image

            self.page.wait_for_timeout(settle_ms)
            taken = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
            # A palette makes the file a third as large, and no difference is seen.
            taken.quantize(128, dither=Image.Dither.NONE).save(
                Path(self._pictures) / f"{name}.png", optimize=True
            )
