"""Are programs compiled once, found again, and run on the arrays of other libraries?"""

import threading

import numpy
import pytest
from conftest import ADD, ROOT, compiled, identity, in_a_child

import preheat


def test_a_program_is_compiled_once_and_loaded_by_the_next_process(tmp_path):
    program = ROOT / "examples" / "programs" / "unet_step.mlir"
    code = f"""
import preheat
runtime = preheat.Runtime("xla-cpu", cache_dir={str(tmp_path)!r})
signature = preheat.create_execution_signature("unet", [1, 4, 32, 32], dtype="float32")
unet = runtime.get_or_compile(signature, preheat.Program.read({str(program)!r}))
outputs = unet.run(unet.zeros())
print(unet.report["source"], len(outputs), outputs[0].shape)
"""
    first, second = in_a_child(code), in_a_child(code)
    assert first.split()[0] == "compiled"
    assert second.split()[0] == "disk"
    assert first.split()[1:] == second.split()[1:]


def test_numbers_come_out_as_numpy_computes_them(add):
    x = numpy.random.default_rng(0).normal(size=(16, 16)).astype("float32")
    y = numpy.asfortranarray(x * 3)
    (total,) = add(x, y)
    assert numpy.array_equal(numpy.asarray(total), x + y)
    assert total.shape == (16, 16) and total.dtype == "float32" and total.nbytes == 1024


def test_strided_and_reversed_arrays_are_read_as_they_are(runtime):
    run = compiled(runtime, identity("f32", "4x3"))
    whole = numpy.arange(48, dtype="float32").reshape(8, 6)
    for view in (whole[::2, ::2], whole[::-2, ::-2], whole[4:, :3]):
        assert numpy.array_equal(numpy.asarray(run(view)[0]), view)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("i1", "bool"), ("i8", "int8"), ("i16", "int16"), ("i32", "int32"), ("i64", "int64"),
        ("ui8", "uint8"), ("ui16", "uint16"), ("ui32", "uint32"), ("ui64", "uint64"),
        ("f16", "float16"), ("f32", "float32"), ("f64", "float64"), ("complex<f32>", "complex64"),
    ],
)  # fmt: skip
def test_every_dtype_of_numpy_goes_in_and_out(runtime, ours, theirs):
    given = numpy.array([0, 1, 2, 3]).astype(theirs)
    (out,) = compiled(runtime, identity(ours), ours)(given)
    assert numpy.asarray(out).dtype == theirs and numpy.array_equal(out, given)


def test_bfloat16_goes_in_and_out_by_ml_dtypes(runtime):
    import ml_dtypes
    given = numpy.array([0, 1.5, -2, 3], dtype=ml_dtypes.bfloat16)
    (out,) = compiled(runtime, identity("bf16"), "bf16")(given)
    assert out.dtype == "bfloat16" and numpy.array_equal(out.numpy(), given)


def test_scalars_and_lists_take_the_dtype_of_the_input(runtime):
    assert numpy.asarray(compiled(runtime, identity("f32", ""))(2.5)[0]) == 2.5
    assert numpy.asarray(compiled(runtime, identity("i32"))([1, 2, 3, 4])[0]).tolist() == [1, 2, 3, 4]


def test_without_numpy_memory_goes_in_and_out(runtime):
    import array

    run = compiled(runtime, identity("f32"))
    (out,) = run(memoryview(array.array("f", [1, 2, 3, 4])))
    assert out.memoryview().tolist() == [1, 2, 3, 4]
    again = preheat.Tensor(out.tobytes(), dtype="float32", shape=[2, 2])
    assert again.memoryview().tolist() == [[1, 2], [3, 4]]
    for half in ({"dtype": "float32"}, {"shape": [2, 2]}):
        with pytest.raises(preheat.InvalidRequest, match="both dtype and shape"):
            preheat.Tensor(out.tobytes(), **half)


def aligned(count, dtype="float32", offset=0):
    memory = numpy.zeros(count * 8 + 192, dtype="uint8")
    start = -memory.ctypes.data % 64 + offset
    array = memory[start : start + count * numpy.dtype(dtype).itemsize].view(dtype)
    array[:] = numpy.arange(count)
    return array


def test_aligned_memory_is_used_in_place_and_other_memory_is_copied():
    in_place, moved = aligned(1024), aligned(1024, offset=4)
    assert preheat.Tensor(in_place).address == in_place.ctypes.data
    assert preheat.Tensor(moved).address != moved.ctypes.data
    assert numpy.array_equal(preheat.Tensor(moved), moved)


def test_a_tensor_keeps_the_array_that_it_uses_in_place():
    import gc
    import weakref

    array = aligned(1024)
    tensor, gone = preheat.Tensor(array), weakref.ref(array.base)
    expected = array.copy()
    del array
    gc.collect()
    assert gone() is not None and numpy.array_equal(tensor, expected)
    del tensor
    gc.collect()
    assert gone() is None


def test_a_result_keeps_its_memory_for_the_arrays_that_view_it(add):
    x = numpy.ones((16, 16), "float32")
    views = [numpy.asarray(add(x, x)[0]), numpy.from_dlpack(add(x, x)[0])]
    views.append(numpy.frombuffer(add(x, x)[0].memoryview(), "float32").reshape(16, 16))
    [add(x, x) for _ in range(50)]
    assert all((view == 2).all() for view in views)


def test_a_result_is_given_away_by_dlpack_without_a_copy(add):
    x = numpy.ones((16, 16), "float32")
    (total,) = add(x, x)
    assert numpy.from_dlpack(total).ctypes.data == total.address
    assert numpy.asarray(total).ctypes.data == total.address
    assert preheat.Tensor(total).address == total.address
    assert total.__dlpack_device__() == (1, 0)


def test_a_donated_input_leaves_the_callers_array_alone(runtime):
    program = preheat.Program(
        """
        func.func public @main(%x: tensor<1024xf32> {tf.aliasing_output = 0 : i32}) -> tensor<1024xf32> {
          %0 = stablehlo.add %x, %x : tensor<1024xf32>
          return %0 : tensor<1024xf32>
        }
        """
    )
    run, given = compiled(runtime, program), aligned(1024)
    expected = given * 2
    assert numpy.array_equal(run(given)[0], expected)
    assert numpy.array_equal(given * 2, expected)


def test_outputs_stay_on_the_device_and_go_into_the_next_run(runtime, add):
    x = numpy.ones((16, 16), "float32")
    at = runtime.to_device(x)
    for _ in range(3):
        (at,) = add.run([at, x], on_device=True)
    assert at.dtype == "float32" and at.shape == (16, 16)
    at.wait()
    assert (numpy.asarray(at) == 4).all()


def test_wrong_inputs_are_refused_in_words(add):
    x = numpy.ones((16, 16), "float32")
    with pytest.raises(preheat.InvalidRequest, match="takes 2 inputs, 1 was given"):
        add(x)
    with pytest.raises(ValueError, match="it takes float32.16, 16., and float64.16, 16. was given"):
        add(x, x.astype("float64"))
    with pytest.raises(preheat.InvalidRequest, match="give an array"):
        add(x, object())
    with pytest.raises(preheat.InvalidRequest, match="give an array"):
        add(x, x.astype(">f4").astype(object))


def test_what_is_no_program_is_refused():
    with pytest.raises(preheat.InvalidRequest, match="no program: the file is empty"):
        preheat.Program(b"")
    with pytest.raises(preheat.InvalidRequest, match="from_jax takes what"):
        preheat.Program.from_jax(3)
    with pytest.raises(preheat.InvalidRequest, match="text or bytes"):
        preheat.Program(3)


def test_a_program_that_the_compiler_refuses_is_an_error(runtime):
    broken = preheat.Program(ADD.replace("stablehlo.add", "stablehlo.nothing"))
    with pytest.raises(preheat.CompileError):
        compiled(runtime, broken)


def test_not_warm_says_what_is_cold(runtime):
    program = identity("f32", "5x5")
    with pytest.raises(preheat.NotWarm, match="call warmup") as raised:
        signature = preheat.create_execution_signature("cold", [5, 5])
        runtime.get_or_compile(signature, program, require_warm=True)
    assert raised.value.stages[0]["verdict"] == "miss"
    assert isinstance(raised.value, preheat.PreheatError)


def test_lookup_warmup_and_statistics(tmp_path):
    runtime = preheat.Runtime("xla-cpu", cache_dir=tmp_path)
    signature = preheat.create_execution_signature("add", [16, 16])
    program = preheat.Program(ADD)
    assert runtime.lookup(signature, program)["verdict"] == "miss"
    assert not runtime.is_cached(signature)
    executable, report = runtime.warmup(signature, program)
    assert report["source"] == "compiled" and report["kept"] and report["first_run_seconds"] > 0
    assert runtime.lookup(signature, program)["verdict"] == "hit"
    assert runtime.lookup(signature)["verdict"] == "hit"
    assert runtime.is_cached(signature)
    assert runtime.stats()["cached_signatures"] == 1
    assert executable.inputs == [("float32", [16, 16])] * 2
    assert len(executable.graph_key) == 64


def test_signatures_are_values():
    import pickle

    make = preheat.create_execution_signature
    one = make("m", [1, 4, 64, 64], 1, 7.5, "euler", 20, numpy.dtype("float16"))
    assert one == make("m", (1, 4, 64, 64), cfg_scale=7.5, scheduler="euler", steps=20, dtype="fp16")
    assert hash(one) == hash(pickle.loads(pickle.dumps(one))) and pickle.loads(pickle.dumps(one)) == one
    assert one.replace(steps=30).steps == 30 and one.replace(steps=30) != one
    assert one.dtype == "float16" and one.input_shape == (1, 4, 64, 64) and len(one.digest) == 64
    for wrong in ({"batch_size": 0}, {"cfg_scale": float("nan")}, {"dtype": "float33"}):
        with pytest.raises(preheat.InvalidRequest):
            make("m", [1], **wrong)
    assert preheat.normalize_shape((500, 760)) == (512, 768)
    assert preheat.latent_shape(2, (512, 768)) == (2, 4, 96, 64)
    with pytest.raises(preheat.InvalidRequest, match="multiple of 8"):
        preheat.normalize_shape((500, 760), 7)


def test_unknown_settings_and_devices_are_refused(tmp_path):
    with pytest.raises(TypeError, match="no setting 'cache_folder'"):
        preheat.Runtime("xla-cpu", cache_folder=tmp_path)
    with pytest.raises(preheat.InvalidRequest, match="device: "):
        preheat.Runtime("gpu")
    with pytest.raises(preheat.InvalidRequest, match="cache_max_bytes: "):
        preheat.Runtime("xla-cpu", cache_max_bytes="much")
    assert any(device["name"] == "xla-cpu" for device in preheat.devices())


def test_many_runs_from_four_threads_compile_nothing_and_keep_the_memory_flat(runtime, add):
    resource = pytest.importorskip("resource")
    before = runtime.stats()["compiles"]
    x = numpy.ones((16, 16), "float32")
    wrong = []

    def work():
        for _ in range(250):
            if not (numpy.asarray(add(x, x)[0]) == 2).all():
                wrong.append(1)

    def round_of_four():
        threads = [threading.Thread(target=work) for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    first, second = round_of_four(), round_of_four()
    assert not wrong and runtime.stats()["compiles"] == before
    assert second - first < 16 << 10, "kilobytes"
