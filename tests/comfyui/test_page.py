"""Does ComfyUI's page show what preheat does? A person's clicks in a real browser.

`--pictures FOLDER` keeps pictures of the page: those in docs/pictures-comfyui.
"""

import tempfile

import browser
import pytest
import workflows

NODES = [
    "TPUManualWarmup", "TPUCompilationCache", "TPUDeviceInfo", "TPUModelOptimization",
    "PreheatLoadModel", "PreheatGenerate",
]  # fmt: skip


#: The canvas begins here, in pixels, while the panel is open.
BESIDE_THE_PANEL = 395


@pytest.fixture(scope="module")
def open_page(request):
    """Returns a function that opens the page of a server."""
    chromium = browser.executable()
    from playwright.sync_api import sync_playwright

    pictures = request.config.getoption("--pictures")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory(
        ignore_cleanup_errors=True
    ) as profile:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=chromium, headless=True, args=browser.FLAGS,
            viewport=browser.SIZE,
        )  # fmt: skip
        yield lambda server: browser.Page(context.new_page(), server, pictures)
        context.close()


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def page(open_page, start, own_cache):
    return open_page(start(own_cache, "page"))


def sd1(**settings):
    """A workflow with text encoders, and a picture at its end."""
    made = workflows.sampling("sd1", "x", on_preheat=True, warm=True, **settings)
    del made["save"]
    for name, words in (("positive", "the digit seven"), ("negative", "blurred")):
        made[name] = {
            "class_type": "CLIPTextEncode",
            "inputs": {"clip": ["load", 1], "text": words},
        }
    made["decode"] = {
        "class_type": "VAEDecode",
        "inputs": {"samples": ["sample", 0], "vae": ["load", 2]},
    }
    made["picture"] = {"class_type": "PreviewImage", "inputs": {"images": ["decode", 0]}}
    return made


def test_the_page_has_each_node_with_its_help(page):
    known = page.page.evaluate("() => Object.keys(LiteGraph.registered_node_types)")
    assert [name for name in NODES if name not in known] == []
    page.page.evaluate(
        """async (kinds) => {
            app.graph.clear();
            kinds.forEach((kind, at) => {
                const node = LiteGraph.createNode(kind);
                node.pos = [(at % 3) * 430, Math.floor(at / 3) * 430];
                app.graph.add(node);
            });
        }""",
        NODES,
    )
    page.fit()
    page.picture("nodes")
    for name in NODES:
        status, text = page.server.request("GET", f"/extensions/preheat/docs/{name}.md")
        assert status == 200 and text.startswith("# ")


@pytest.mark.small
def test_the_panel_follows_the_workflow_and_warms_it(page):
    page.load(sd1())
    panel = page.open_panel()
    page.fit(left=BESIDE_THE_PANEL)
    page.wait_for_verdict("cold")
    assert "SD15" in panel.inner_text() and "batch 2, 77 tokens" in panel.inner_text()
    page.picture("panel-cold")
    panel.get_by_role("button", name="Warm what is cold").click()
    page.wait_for_verdict("warm")
    page.picture("panel-warm")
    # Another size would compile, and the panel says so without a run.
    page.set_input("EmptyLatentImage", "width", 80)
    page.wait_for_verdict("cold")
    page.set_input("EmptyLatentImage", "width", 64)
    page.wait_for_verdict("warm")
    # More steps, another seed and another prompt need nothing new.
    page.set_input("KSampler", "steps", 5)
    page.set_input("KSampler", "seed", 8)
    page.page.wait_for_timeout(1000)
    page.wait_for_verdict("warm")


def test_a_run_shows_its_warmup_and_the_panel_counts_it(page):
    page.load(sd1())
    panel = page.open_panel()
    assert page.queue() == "execution_success"
    page.wait("() => /[1-9][0-9]* on preheat, 0 on torch/.test(document.body.innerText)")
    said = page.page.evaluate(
        """() => app.graph.nodes.find((node) => node.type === 'TPUManualWarmup')
            .widgets.find((widget) => widget.name === 'said')?.value"""
    )
    assert "denoiser, batch 2, 77 tokens: " in said, said
    # The text in the node is no input of the next run.
    inputs = page.page.evaluate("async () => (await app.graphToPrompt()).output")
    assert not any("said" in node["inputs"] for node in inputs.values())
    page.fit(left=BESIDE_THE_PANEL)
    # The message that a job was queued has gone by then.
    page.picture("run", settle_ms=5000)
    assert "comfyui-sd15" in panel.inner_text()
    assert panel.locator("td", has_text="kB").count() > 0


def test_a_workflow_without_preheat_is_torchs(page):
    page.load(workflows.sampling("sd1", "x", on_preheat=False))
    panel = page.open_panel()
    page.wait_for_verdict("on torch")
    assert "TPU Manual Warmup" in panel.inner_text()
    assert panel.get_by_role("button", name="Nothing to warm").is_disabled()
    # A click on its name shows the node.
    panel.get_by_role("button", name="KSampler").click()


def test_interrupt_on_the_page(page):
    page.load(sd1(steps=500))
    page.page.evaluate(
        """async () => {
            const { api } = await import('/scripts/api.js');
            api.addEventListener('progress', () => api.interrupt(), { once: true });
        }"""
    )
    assert page.queue() == "execution_interrupted"
    page.load(sd1())
    assert page.queue() == "execution_success"


def test_the_block_of_the_api(page):
    status, answer = page.server.post(
        "/prompt",
        {
            "prompt": workflows.sampling("sd1", workflows.name(), on_preheat=False),
            "tpu_warmup": {"enabled": True, "target_resolution": [64, 64], "batch_size": 1},
        },
    )
    assert status == 200 and answer["prompt_id"]


@pytest.mark.small
def test_the_example_workflows_are_in_the_template_browser(page):
    page.page.evaluate("() => app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    card = page.page.get_by_test_id("template-workflow-warm_ksampler")
    card.wait_for()
    page.picture("templates")
    card.click()
    page.wait("() => app.graph.nodes.some((node) => node.type === 'TPUManualWarmup')")


def test_a_restarted_server_says_warm_at_once(page, open_page, start, own_cache):
    page.server.stop()
    again = open_page(start(own_cache, "page-again"))
    again.load(sd1())
    again.open_panel()
    again.wait_for_verdict("warm")
    compiles = again.server.compiles()
    assert again.queue() == "execution_success"
    assert again.server.compiles() == compiles
    again.fit(left=BESIDE_THE_PANEL)
    again.picture("panel-restarted", settle_ms=5000)
    assert again.errors == [] and page.errors == []
