"""Do the snippets of docs/python.md and the programs in examples/python/ do what they say?"""

import re
import shutil
import subprocess
import sys

from conftest import DEMO_MODEL, ROOT

EXAMPLES = ROOT / "examples" / "python"


def run(*words, cwd, cache, **options):
    import os

    environment = {**os.environ, "PREHEAT_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=cwd, env=environment, capture_output=True, text=True, **options,
    )  # fmt: skip
    return done


def test_the_snippets_of_the_page_run_one_after_the_other(tmp_path):
    page = (ROOT / "docs" / "python.md").read_text("utf-8")
    snippets = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    assert len(snippets) > 8
    shutil.copytree(DEMO_MODEL, tmp_path / "examples" / "demo-model")
    (tmp_path / "page.py").write_text("\n".join(snippets), "utf-8")
    done = run("page.py", cwd=tmp_path, cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "seven.png").stat().st_size > 100


def test_a_picture_is_made_by_the_example(tmp_path):
    words = [EXAMPLES / "text_to_image.py", DEMO_MODEL, "the digit seven", "seven.png"]
    done = run(*words, cwd=tmp_path, cache=tmp_path / "cache")
    assert done.returncode == 0 and "denoiser: compiled" in done.stdout, done.stderr
    assert (tmp_path / "seven.png").read_bytes().startswith(b"\x89PNG")


def test_the_argparse_program_is_warm_the_second_time(tmp_path):
    program = ROOT / "examples" / "programs" / "unet_step.mlir"
    words = [EXAMPLES / "argparse_program.py", "--device", "xla-cpu", "--program", program]
    cold = run(*words, "--require-warm", cwd=tmp_path, cache=tmp_path / "cache")
    assert cold.returncode == 3 and "not warm" in cold.stderr
    first = run(*words, "--tpu-manual-warmup", cwd=tmp_path, cache=tmp_path / "cache")
    assert first.returncode == 0 and "1 signatures are cached" in first.stdout, first.stderr
    warm = run(*words, "--require-warm", cwd=tmp_path, cache=tmp_path / "cache")
    assert warm.returncode == 0 and warm.stdout.startswith("disk"), warm.stderr


def test_the_jax_program_is_loaded_by_the_next_process(tmp_path):
    first = run(EXAMPLES / "jax_program.py", cwd=tmp_path, cache=tmp_path / "cache")
    assert first.returncode == 0 and first.stdout.startswith("compiled"), first.stderr
    second = run(EXAMPLES / "jax_program.py", cwd=tmp_path, cache=tmp_path / "cache")
    assert second.returncode == 0 and second.stdout.startswith("disk"), second.stderr


def test_the_cached_function_of_jax_is_not_traced_the_third_time(tmp_path):
    runs = [run(EXAMPLES / "jax_cached.py", cwd=tmp_path, cache=tmp_path / "cache") for _ in range(3)]
    assert all(done.returncode == 0 for done in runs), runs
    words = [done.stdout.split()[0] for done in runs]
    # A release of JAX without `make_user_context` records nothing, and the program says so.
    is_old = all("make_user_context" in done.stdout for done in runs)
    assert words == (["traced"] * 3 if is_old else ["recorded", "confirmed", "untraced"])


def test_the_server_is_warm_and_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL", str(DEMO_MODEL))
    monkeypatch.setenv("PREHEAT_CACHE_DIR", str(tmp_path))
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import server
    from fastapi.testclient import TestClient

    with TestClient(server.app) as client:
        assert "denoiser" in client.get("/healthz").json()["stages"]
        made = client.post("/pictures", json={"prompt": "the digit seven", "steps": 2, "seed": 7})
        assert made.status_code == 200 and made.content.startswith(b"\x89PNG")
        other = {"prompt": "seven", "steps": 2, "width": 128, "height": 128}
        assert client.post("/pictures", json=other).status_code == 409
        other["tpu_warmup"] = {"enabled": True}
        assert client.post("/pictures", json=other).status_code == 200
        assert client.post("/pictures", json={"prompt": "seven", "steps": 0}).status_code == 422
