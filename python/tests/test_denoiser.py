"""Does the network alone compute what diffusers computes, with weights from memory?"""

import hashlib
import json

import numpy
import pytest
from conftest import ROOT

import preheat

MODELS = ROOT / "tests" / "fixtures" / "models"


def tensors(path):
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    header.pop("__metadata__", None)
    return {
        name: numpy.frombuffer(body[slice(*one["data_offsets"])], "<f4").reshape(one["shape"])
        for name, one in header.items()
        if name.startswith("unet.")
    }


def weight(name, shape):
    """The values that tests/fixtures/README.md defines for a weight of this name and shape."""
    u64 = numpy.uint64
    seed = u64(int.from_bytes(hashlib.sha256(f"unet/{name}".encode()).digest()[:8], "little"))
    count = numpy.arange(1, int(numpy.prod(shape)) + 1, dtype=u64)
    with numpy.errstate(over="ignore"):
        z = seed + count * u64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> u64(30))) * u64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> u64(27))) * u64(0x94D049BB133111EB)
        z = z ^ (z >> u64(31))
    v = (2 * ((z >> u64(40)).astype("f8") * 2.0**-24) - 1) * numpy.sqrt(3.0)
    if len(shape) == 1:
        v = 1 + 0.1 * v if name.endswith(".weight") else 0.02 * v
    else:
        v = v / numpy.sqrt(numpy.prod(shape[1:]))
    return v.astype("f4").reshape(shape)


def weights_of(model):
    shapes = json.loads((MODELS / model / "weights.json").read_text())["unet"]
    return {name: weight(name, shape) for name, shape in shapes.items()}


def inputs_of(case, config, batch, height, width):
    seed = case["seed"]
    draw = lambda offset, shape: numpy.asarray(preheat.noise(offset + seed, shape))
    x = draw(1000, [batch, 4, height, width])
    if case["tensor"] == "unet.zeros":
        x = numpy.zeros_like(x)
    context = draw(2000, [batch, 77, config["cross_attention_dim"]])
    if config.get("addition_embed_type") != "text_time":
        return (x, case["timestep"], context), {}
    rows = [
        [8 * height, 8 * width, 8 * (seed % 3), 4 * (seed % 5), 8 * height, 1024 - row]
        for row in range(batch)
    ]
    return (x, case["timestep"], context), {
        "text_embeds": draw(3000, [batch, 24]),
        "time_ids": numpy.array(rows, "f4"),
    }


def test_the_rule_for_weights_is_the_one_of_the_fixtures():
    assert numpy.allclose(
        weight("conv_in.weight", [16, 4, 3, 3]).ravel()[:3],
        [-0.15529177, -0.024905168, -0.08287394],
        rtol=1e-6,
    )


@pytest.mark.parametrize("model", ["sd15", "sdxl"])
def test_predictions_are_those_of_diffusers(model, runtime):
    config = json.loads((MODELS / model / "unet" / "config.json").read_text())
    expected = tensors(MODELS / model / "expected.safetensors")
    weights = weights_of(model)
    cases = [
        case
        for case in json.loads((MODELS / model / "cases.json").read_text())
        if case["tensor"] in ("unet.00", "unet.07", "unet.batch_2", "unet.odd_sides", "unet.zeros")
    ]
    assert len(cases) == 5
    for case in cases:
        wanted = expected[case["tensor"]]
        batch, _, height, width = wanted.shape
        denoiser = preheat.Denoiser(config, height, width, batch, runtime=runtime)
        denoiser.load(weights)
        given, added = inputs_of(case, config, batch, height, width)
        got = numpy.asarray(denoiser(*given, **added))
        relative = numpy.abs(got - wanted).max() / numpy.abs(wanted).max()
        assert relative < 1e-5, (case["tensor"], relative)


@pytest.fixture(scope="module")
def small(runtime):
    config = MODELS / "sd15" / "unet" / "config.json"
    denoiser = preheat.Denoiser(config, 16, 16, runtime=runtime, name="small")
    denoiser.load(weights_of("sd15"))
    return denoiser


ARGUMENTS = (numpy.ones((1, 4, 16, 16)), 500, numpy.ones((1, 77, 32)))


def test_weights_are_replaced_without_a_compile(small, runtime):
    context = numpy.ones((1, 77, json.loads((MODELS / "sd15/unet/config.json").read_text())["cross_attention_dim"]))
    arguments = (*ARGUMENTS[:2], context)
    before = numpy.array(small(*arguments))
    compiles = runtime.stats()["compiles"]
    bias = weight("conv_out.bias", small.weights["conv_out.bias"])
    small.load({"conv_out.bias": bias + 1})
    assert numpy.allclose(small(*arguments), before + 1, atol=1e-5)
    small.load({"conv_out.bias": bias})
    assert numpy.array_equal(small(*arguments), before)
    assert runtime.stats()["compiles"] == compiles


def test_a_second_denoiser_of_the_shape_is_served_without_a_compile(small, runtime):
    config = MODELS / "sd15" / "unet" / "config.json"
    other = preheat.Denoiser(config, 16, 16, runtime=runtime, name="other", require_warm=True)
    assert other.report["source"] == "memory"


def test_what_does_not_fit_is_refused_in_words(small, runtime):
    config = json.loads((MODELS / "sd15" / "unet" / "config.json").read_text())
    fresh = preheat.Denoiser(config, 16, 16, runtime=runtime)
    with pytest.raises(preheat.InvalidRequest, match="load the weights first"):
        fresh(*ARGUMENTS)
    with pytest.raises(preheat.ModelError, match="no such weights"):
        fresh.load({"lora.up": numpy.zeros(3)})
    with pytest.raises(preheat.ModelError, match="conv_out.bias is .3., and the network reads .4."):
        fresh.load({"conv_out.bias": numpy.zeros(3)})
    with pytest.raises(preheat.InvalidRequest, match="it takes float32"):
        small(numpy.ones((1, 4, 8, 8)), *ARGUMENTS[1:])
    with pytest.raises(preheat.ModelError, match="act_fn"):
        preheat.Denoiser({**config, "act_fn": "gelu"}, 16, 16, runtime=runtime)
    with pytest.raises(preheat.NotWarm):
        preheat.Denoiser(config, 16, 24, runtime=runtime, require_warm=True)


def test_loaded_weights_are_copies(small):
    """ComfyUI patches weights in place, which must not reach the device."""
    # The bias lies in memory that a device could use in place.
    name = "time_embedding.linear_1.bias"
    memory = numpy.zeros(4096, "f4")
    start = (-memory.ctypes.data % 64) // 4
    bias = memory[start : start + small.weights[name][0]]
    original = weight(name, small.weights[name])
    bias[:] = original
    small.load({name: bias})
    before = numpy.array(small(ARGUMENTS[0], *_rest()))
    bias[:] = 1000.0
    assert numpy.array_equal(small(ARGUMENTS[0], *_rest()), before)


def sinusoid(numbers, size):
    """The embedding of ComfyUI and of the original code: cosines first."""
    frequencies = numpy.exp(-numpy.log(10000.0) * numpy.arange(size // 2) / (size // 2))
    angles = numpy.asarray(numbers, "f8")[..., None] * frequencies
    waves = numpy.concatenate([numpy.cos(angles), numpy.sin(angles)], -1)
    return waves.reshape(len(numbers), -1)


def test_one_vector_is_what_the_parts_are(runtime):
    config = json.loads((MODELS / "sdxl" / "unet" / "config.json").read_text())
    x = numpy.asarray(preheat.noise(1, [2, 4, 8, 8]))
    context = numpy.asarray(preheat.noise(2, [2, 77, config["cross_attention_dim"]]))
    text_embeds = numpy.asarray(preheat.noise(3, [2, 24]))
    time_ids = numpy.array([[64, 64, 0, 8, 64, 64], [32, 64, 4, 0, 64, 96]], "f4")
    parts = preheat.Denoiser(config, 8, 8, 2, runtime=runtime)
    parts.load(weights_of("sdxl"))
    wanted = numpy.asarray(parts(x, 500, context, text_embeds=text_embeds, time_ids=time_ids))
    joined = preheat.Denoiser(config, 8, 8, 2, runtime=runtime, joined=True)
    joined.share(parts)
    size = config["addition_time_embed_dim"]
    y = numpy.concatenate([text_embeds, sinusoid(time_ids, size)], 1)
    got = numpy.asarray(joined(x, 500, context, y=y))
    assert numpy.abs(got - wanted).max() < 1e-5 * numpy.abs(wanted).max()
    with pytest.raises(preheat.InvalidRequest):
        joined(x, 500, context, text_embeds=text_embeds, time_ids=time_ids)


def test_weights_are_shared_only_where_they_are_the_same(small, runtime, tmp_path):
    config = MODELS / "sd15" / "unet" / "config.json"
    larger = preheat.Denoiser(config, 16, 24, runtime=runtime)
    larger.share(small)
    assert larger(numpy.ones((1, 4, 16, 24)), *_rest()).shape == (1, 4, 16, 24)
    larger.unload()
    with pytest.raises(preheat.InvalidRequest, match="load the weights first"):
        larger(numpy.ones((1, 4, 16, 24)), *_rest())
    # The other denoiser keeps the weights.
    assert small(*ARGUMENTS[:1], *_rest()).shape == (1, 4, 16, 16)
    other = preheat.Denoiser(MODELS / "sdxl" / "unet" / "config.json", 16, 16, runtime=runtime)
    with pytest.raises(preheat.InvalidRequest, match="do not read the same ones"):
        other.share(small)
    elsewhere = preheat.Denoiser(
        config, 16, 16, runtime=preheat.Runtime("xla-cpu", cache_dir=tmp_path)
    )
    with pytest.raises(preheat.InvalidRequest, match="not on the same runtime"):
        elsewhere.share(small)


def _rest():
    config = json.loads((MODELS / "sd15" / "unet" / "config.json").read_text())
    return 500, numpy.ones((1, 77, config["cross_attention_dim"]))


def test_a_denoiser_is_compiled_again_on_request(small, runtime):
    config = MODELS / "sd15" / "unet" / "config.json"
    compiles = runtime.stats()["compiles"]
    again = preheat.Denoiser(config, 16, 16, runtime=runtime, name="small", force_recompile=True)
    assert again.report["source"] == "compiled"
    assert runtime.stats()["compiles"] == compiles + 1


@pytest.fixture
def network(runtime):
    config = json.loads((MODELS / "sd15" / "unet" / "config.json").read_text())
    network = preheat.Denoisers(config, runtime=runtime, name="several")
    with pytest.raises(preheat.InvalidRequest, match="warm a size first"):
        network.load({})
    return network


def call(network, batch, height=8, width=8, **settings):
    _, context = _rest()
    rows = numpy.repeat(context, batch, 0) * numpy.arange(1, batch + 1)[:, None, None]
    return numpy.asarray(
        network(preheat.noise(1, [batch, 4, height, width]), 500, rows, **settings)
    )


def test_every_size_has_the_same_weights(network):
    network.warm(8, 8, 1)
    network.load(weights_of("sd15"))
    single = call(network, 1)
    network.warm(8, 8, 4)
    four = call(network, 4)
    assert network.sizes == [(8, 8, 1, 77), (8, 8, 4, 77)] and network.is_loaded
    wanted = numpy.concatenate([call_of_row(network, row) for row in range(4)])
    assert numpy.abs(four - wanted).max() < 1e-5 * numpy.abs(wanted).max()
    bias = weight("conv_out.bias", network.weights()["conv_out.bias"])
    network.load({"conv_out.bias": bias + 1})
    assert numpy.allclose(call(network, 1), single + 1, atol=1e-5)
    assert numpy.allclose(call(network, 4), four + 1, atol=1e-5)
    network.unload()
    assert not network.is_loaded
    with pytest.raises(preheat.InvalidRequest, match="load the weights first"):
        call(network, 4)


def call_of_row(network, row):
    _, context = _rest()
    noise = numpy.asarray(preheat.noise(1, [4, 4, 8, 8]))[row : row + 1]
    return numpy.asarray(network(noise, 500, context * (row + 1)))


def test_batches_that_are_not_warm_are_made_of_warm_ones(network, runtime):
    network.warm(8, 16, 2)
    network.load(weights_of("sd15"))
    compiles = runtime.stats()["compiles"]
    assert network.prepare(8, 16, 4, 77) == [2, 2]
    assert network.prepare(8, 16, 1, 77) == [2]
    four, one = call(network, 4, width=16), call(network, 1, width=16)
    assert four.shape == (4, 4, 8, 16) and one.shape == (1, 4, 8, 16)
    assert runtime.stats()["compiles"] == compiles
    # A batch of three cannot be split into warm batches, so it would have to be compiled. A batch
    # of four that is compiled as a whole computes the same rows.
    with pytest.raises(preheat.NotWarm):
        call(network, 3, width=16, require_warm=True)
    network.warm(8, 16, 4)
    assert network.prepare(8, 16, 4, 77) == [4]
    assert numpy.abs(call(network, 4, width=16) - four).max() < 1e-5 * numpy.abs(four).max()


def test_sizes_of_another_process_are_loaded_and_not_compiled(network, runtime):
    network.warm(8, 24, 1)
    fresh = preheat.Denoisers(
        json.loads((MODELS / "sd15" / "unet" / "config.json").read_text()), runtime=runtime
    )
    report = fresh.warm(8, 24, 1, require_warm=True)
    assert report["source"] != "compiled" and report["loaded"] is False
    assert fresh.warm(8, 24, 1)["loaded"] is True


def test_a_warmup_is_counted_apart_from_a_call_that_had_to_compile(network, runtime):
    def compiles():
        stats = runtime.stats()
        return stats["compiles"], stats["warming"]["compiles"]

    serving, warming = compiles()
    network.warm(8, 32, 1)
    assert compiles() == (serving, warming + 1)
    network.prepare(8, 40, 1, 77)
    assert compiles() == (serving + 1, warming + 1)


def test_noise_is_that_of_torch():
    # torch.randn(4, generator=torch.Generator("cpu").manual_seed(0))
    expected = [1.5409961, -0.2934289, -2.1787894, 0.5684313]
    assert numpy.allclose(preheat.noise(0, [4]), expected, atol=1e-6)
    with pytest.raises(preheat.InvalidRequest):
        preheat.noise(0, [1 << 40, 1 << 40])
