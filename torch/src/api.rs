//! How do preheat's calls reach the safe code of this library? Through the functions of this
//! module, to which the interface's table points. Each checks its arguments as far as it can and
//! calls the safe code. The outcome becomes an answer: a result, an error, or a panic that is
//! caught here. Only the functions that free something give no answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use preheat_ir::graph::Verified;
use preheat_tensor::TensorType;
use preheat_torch_abi::TorchOptions;
use preheat_torch_abi::{
    Answer, Bytes, EventHandle, GraphHandle, INTERFACE_VERSION, MemoryUse, OwnedBytes,
    RUN_STREAMS_WEIGHTS, Session as RawSession, TensorHandle, TorchApi, TorchTensorSpec, code,
    dtype_of,
};

use crate::failure::{Failure, Outcome};
use crate::graph::Graph;
use crate::held::Held;
use crate::kinds::check;
use crate::session::Session;
use crate::shim::Event;

static API: TorchApi = TorchApi {
    struct_size: size_of::<TorchApi>(),
    interface_version: INTERFACE_VERSION,
    free_bytes,
    open,
    close,
    devices,
    memory,
    reset_peaks,
    drop_caches,
    synchronize,
    fallbacks,
    make_tensor,
    copy_tensor,
    read_tensor,
    free_tensor,
    load_graph,
    run_graph,
    free_graph,
    record_event,
    wait_event,
    free_event,
};

/// The only exported symbol: returns the table of functions.
#[unsafe(no_mangle)]
pub extern "C" fn preheat_torch_api() -> *const TorchApi {
    &raw const API
}

/// What a [`TensorHandle`] points to.
struct TensorBox {
    session: Arc<Session>,
    kind: TensorType,
    /// The position of the tensor's device.
    device: u32,
    /// `None` after a run took the tensor over.
    held: Mutex<Option<Arc<Held>>>,
}

impl TensorBox {
    fn held(&self) -> Outcome<Arc<Held>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).clone();
        held.ok_or_else(|| self.donated())
    }

    fn take(&self) -> Outcome<Arc<Held>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        held.ok_or_else(|| self.donated())
    }

    fn donated(&self) -> Failure {
        Failure::new(
            code::DONATED,
            format!("the tensor {} was donated to an earlier run", self.kind),
        )
    }
}

fn owned(bytes: Vec<u8>) -> OwnedBytes {
    if bytes.is_empty() {
        return OwnedBytes::NONE;
    }
    let length = bytes.len();
    OwnedBytes { start: Box::into_raw(bytes.into_boxed_slice()).cast(), length }
}

/// Runs `work` and returns its outcome as an answer. After a panic, nothing that `work` borrowed is
/// used again except handles, and their locks are valid even then.
fn answer(work: impl FnOnce() -> Outcome<Vec<u8>>) -> Answer {
    let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        // The text of a panic in tch is usually an error of libtorch.
        Err(Failure::new(
            code::BUG,
            format!("the torch library panicked: {}", text.unwrap_or_default()),
        ))
    });
    match outcome {
        Ok(notice) => Answer { code: code::OK, message: owned(notice) },
        Err(Failure { code, message }) => Answer { code, message: owned(message.into_bytes()) },
    }
}

/// Like [`answer`], for work without a result.
fn done(work: impl FnOnce() -> Outcome<()>) -> Answer {
    answer(|| work().map(|()| Vec::new()))
}

fn json(value: &impl serde::Serialize) -> Outcome<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Failure::new(code::BUG, error.to_string()))
}

/// # Safety
///
/// `bytes` belong to the caller and stay valid during the call.
unsafe fn borrowed<'a>(bytes: Bytes) -> &'a [u8] {
    if bytes.length == 0 {
        return &[];
    }
    // SAFETY: the caller vouches for this many bytes.
    unsafe { std::slice::from_raw_parts(bytes.start, bytes.length) }
}

/// # Safety
///
/// `raw` came from `open` and is not closed.
unsafe fn session<'a>(raw: *const RawSession) -> &'a Arc<Session> {
    // SAFETY: `open` made the pointer from a box of this type.
    unsafe { &*raw.cast::<Arc<Session>>() }
}

/// # Safety
///
/// `raw` came from this library and is not freed.
unsafe fn tensor<'a>(raw: *const TensorHandle) -> &'a TensorBox {
    // SAFETY: `give_tensor` made the pointer from a box of this type.
    unsafe { &*raw.cast::<TensorBox>() }
}

/// # Safety
///
/// `start` points to `count` live handles.
unsafe fn tensors<'a>(start: *const *const TensorHandle, count: usize) -> Vec<&'a TensorBox> {
    // SAFETY: the caller vouches for each of them.
    (0..count).map(|index| unsafe { tensor(start.add(index).read()) }).collect()
}

fn give_tensor(session: &Arc<Session>, kind: TensorType, held: Arc<Held>) -> *mut TensorHandle {
    let device = held.device;
    Box::into_raw(Box::new(TensorBox {
        session: Arc::clone(session),
        kind,
        device,
        held: Mutex::new(Some(held)),
    }))
    .cast()
}

unsafe extern "C" fn free_bytes(bytes: OwnedBytes) {
    if !bytes.start.is_null() {
        // SAFETY: `owned` made the pointer from a boxed slice of this length, and the caller
        // returns it once.
        drop(unsafe {
            Box::from_raw(std::ptr::slice_from_raw_parts_mut(bytes.start, bytes.length))
        });
    }
}

unsafe extern "C" fn open(options: Bytes, out: *mut *mut RawSession) -> Answer {
    done(|| {
        // SAFETY: the bytes belong to the caller and are valid during this call.
        let options: TorchOptions =
            serde_json::from_slice(unsafe { borrowed(options) }).map_err(|error| {
                Failure::new(code::BUG, format!("the options cannot be read: {error}"))
            })?;
        let session = Box::into_raw(Box::new(Arc::new(Session::open(&options)?)));
        // SAFETY: the caller has room for the handle here.
        unsafe { out.write(session.cast()) };
        Ok(())
    })
}

unsafe extern "C" fn close(raw: *mut RawSession) {
    done_quietly(|| {
        // SAFETY: `open` made `raw` from a box of this type, and the caller closes it once.
        drop(unsafe { Box::from_raw(raw.cast::<Arc<Session>>()) });
    });
}

/// Runs `work`, which frees something. A panic in it cannot be reported, and must not cross into C.
fn done_quietly(work: impl FnOnce()) {
    drop(catch_unwind(AssertUnwindSafe(work)));
}

unsafe extern "C" fn devices(raw: *const RawSession, out: *mut OwnedBytes) -> Answer {
    done(|| {
        // SAFETY: the caller's session is live, and there is room for the bytes.
        unsafe { out.write(owned(json(&session(raw).describe())?)) };
        Ok(())
    })
}

unsafe extern "C" fn fallbacks(raw: *const RawSession, out: *mut OwnedBytes) -> Answer {
    done(|| {
        // SAFETY: the caller's session is live, and there is room for the bytes.
        unsafe { out.write(owned(json(&session(raw).fallbacks.list())?)) };
        Ok(())
    })
}

unsafe extern "C" fn memory(raw: *const RawSession, device: u32, out: *mut MemoryUse) -> Answer {
    done(|| {
        // SAFETY: the caller's session is live, and there is room for the figures.
        unsafe { out.write(session(raw).place(device)?.memory()?) };
        Ok(())
    })
}

unsafe extern "C" fn reset_peaks(raw: *const RawSession, device: u32) -> Answer {
    // SAFETY: the caller's session is live.
    done(|| unsafe { session(raw) }.place(device)?.reset_peaks())
}

unsafe extern "C" fn drop_caches(raw: *const RawSession, device: u32) -> Answer {
    // SAFETY: the caller's session is live.
    done(|| unsafe { session(raw) }.place(device)?.drop_caches())
}

unsafe extern "C" fn synchronize(raw: *const RawSession, device: u32) -> Answer {
    // SAFETY: the caller's session is live.
    done(|| unsafe { session(raw) }.place(device)?.synchronize())
}

unsafe extern "C" fn make_tensor(
    raw: *const RawSession,
    device: u32,
    spec: TorchTensorSpec,
    bytes: Bytes,
    out: *mut *mut TensorHandle,
) -> Answer {
    done(|| {
        let dtype = dtype_of(spec.dtype).ok_or_else(|| {
            Failure::new(code::UNSUPPORTED, format!("there is no dtype {}", spec.dtype))
        })?;
        let dims = match spec.rank {
            0 => Vec::new(),
            // SAFETY: the caller has `rank` sizes there.
            rank => unsafe { std::slice::from_raw_parts(spec.dims, rank as usize) }.to_vec(),
        };
        let kind = TensorType::new(dtype, dims);
        // SAFETY: the caller's session is live, and its bytes are valid.
        let (session, bytes) = unsafe { (session(raw), borrowed(bytes)) };
        let held = session.place(device)?.make(&kind, bytes)?;
        // SAFETY: the caller has room for the handle here.
        unsafe { out.write(give_tensor(session, kind, held)) };
        Ok(())
    })
}

unsafe extern "C" fn copy_tensor(
    raw: *const TensorHandle,
    device: u32,
    out: *mut *mut TensorHandle,
) -> Answer {
    done(|| {
        // SAFETY: the caller's handle is live.
        let from = unsafe { tensor(raw) };
        let held = from.session.place(device)?.copy(&*from.held()?)?;
        // SAFETY: the caller has room for the handle here.
        unsafe { out.write(give_tensor(&from.session, from.kind.clone(), held)) };
        Ok(())
    })
}

unsafe extern "C" fn read_tensor(
    raw: *const TensorHandle,
    start: *mut u8,
    length: usize,
) -> Answer {
    done(|| {
        // SAFETY: the caller's handle is live.
        let from = unsafe { tensor(raw) };
        if length as u64 != from.kind.bytes() {
            let message = format!(
                "{} has {} bytes, and there is room for {length}",
                from.kind,
                from.kind.bytes()
            );
            return Err(Failure::new(code::WRONG_TYPE, message));
        }
        let elements = usize::try_from(from.kind.elements()).unwrap_or(usize::MAX);
        // SAFETY: the caller has room for `length` bytes, and nothing else uses that memory during
        // the call.
        let room = unsafe { std::slice::from_raw_parts_mut(start, length) };
        Ok(from.held()?.tensor().f_copy_data_u8(room, elements)?)
    })
}

unsafe extern "C" fn free_tensor(raw: *mut TensorHandle) {
    done_quietly(|| {
        // SAFETY: `give_tensor` made `raw` from a box of this type, and the caller frees it once.
        drop(unsafe { Box::from_raw(raw.cast::<TensorBox>()) });
    });
}

unsafe extern "C" fn load_graph(
    raw: *const RawSession,
    device: u32,
    bytes: Bytes,
    out: *mut *mut GraphHandle,
) -> Answer {
    done(|| {
        // SAFETY: the caller's session is live, and its bytes are valid.
        let (session, bytes) = unsafe { (session(raw), borrowed(bytes)) };
        let function = Verified::decode(bytes)
            .map_err(|error| Failure::new(code::BAD_GRAPH, error_chain(&error)))?;
        let graph = Graph::load(session, device, function)?;
        // SAFETY: the caller has room for the handle here.
        unsafe { out.write(Box::into_raw(Box::new(graph)).cast()) };
        Ok(())
    })
}

unsafe extern "C" fn run_graph(
    raw: *const GraphHandle,
    given: *const *const TensorHandle,
    count: usize,
    flags: u32,
    out: *mut *mut TensorHandle,
    out_count: usize,
) -> Answer {
    answer(|| {
        // SAFETY: `load_graph` made `raw` from a box of this type, and the caller has not freed it;
        // `given` points to live handles.
        let (graph, given) = unsafe { (&*raw.cast::<Graph>(), tensors(given, count)) };
        let function = &graph.function;
        if out_count != function.outputs().len() {
            let message = format!(
                "there is room for {out_count} outputs, and there are {}",
                function.outputs().len()
            );
            return Err(Failure::new(code::WRONG_TYPE, message));
        }
        // All arguments are checked before one is taken over.
        let (inputs, weights) = checked(graph, &given, flags & RUN_STREAMS_WEIGHTS != 0)?;
        let held = |tensors: &[&TensorBox]| {
            tensors.iter().map(|tensor| tensor.held()).collect::<Outcome<Vec<_>>>()
        };
        let (inputs_held, weights) = (held(inputs)?, held(weights)?);
        for (input, _) in
            inputs.iter().zip(&graph.is_donated).filter(|(_, is_donated)| **is_donated)
        {
            input.take()?;
        }
        let results = graph.run(inputs_held, &weights)?;
        let notices = if results.notices.is_empty() { Vec::new() } else { json(&results.notices)? };
        // From here on nothing may fail, because a caller frees no handles of a call that failed.
        for (index, (held, output)) in
            results.outputs.into_iter().zip(function.outputs()).enumerate()
        {
            let handle = give_tensor(&graph.session, function.type_of(output.value).clone(), held);
            // SAFETY: the caller has room for as many handles as there are outputs.
            unsafe { out.add(index).write(handle) };
        }
        Ok(notices)
    })
}

unsafe extern "C" fn free_graph(raw: *mut GraphHandle) {
    done_quietly(|| {
        // SAFETY: `load_graph` made `raw` from a box of this type, and the caller frees it once.
        drop(unsafe { Box::from_raw(raw.cast::<Graph>()) });
    });
}

unsafe extern "C" fn record_event(
    raw: *const RawSession,
    device: u32,
    out: *mut *mut EventHandle,
) -> Answer {
    done(|| {
        // SAFETY: the caller's session is live.
        let event = unsafe { session(raw) }.place(device)?.record()?;
        // SAFETY: the caller has room for the handle here.
        unsafe { out.write(Box::into_raw(Box::new(event)).cast()) };
        Ok(())
    })
}

unsafe extern "C" fn wait_event(raw: *const EventHandle) -> Answer {
    // SAFETY: `record_event` made `raw` from a box of this type, and the caller has not freed it.
    done(|| unsafe { &*raw.cast::<Event>() }.wait())
}

unsafe extern "C" fn free_event(raw: *mut EventHandle) {
    done_quietly(|| {
        // SAFETY: `record_event` made `raw` from a box of this type, and the caller frees it once.
        drop(unsafe { Box::from_raw(raw.cast::<Event>()) });
    });
}

/// Checks the arguments of a run, and divides them into inputs and weights. Their number, types and
/// session must be those of the graph, and so must their device, except for weights if they are
/// streamed.
fn checked<'t>(
    graph: &Graph,
    given: &'t [&'t TensorBox],
    streams_weights: bool,
) -> Outcome<(&'t [&'t TensorBox], &'t [&'t TensorBox])> {
    let (inputs, weights) = (graph.function.inputs(), graph.function.weights());
    if given.len() != inputs.len() + weights.len() {
        let (count, inputs, weights) = (given.len(), inputs.len(), weights.len());
        let message = format!(
            "{count} tensors are given, and the graph has {inputs} inputs and {weights} weights"
        );
        return Err(Failure::new(code::WRONG_TYPE, message));
    }
    let (given_inputs, given_weights) = given.split_at(inputs.len());
    for (tensor, decl) in given_inputs.iter().zip(inputs) {
        check_tensor(graph, "input", (&decl.name, &decl.kind), tensor, false)?;
    }
    for (tensor, decl) in given_weights.iter().zip(weights) {
        check_tensor(graph, "weight", (&decl.name, &decl.kind), tensor, streams_weights)?;
    }
    Ok((given_inputs, given_weights))
}

fn check_tensor(
    graph: &Graph,
    what: &str,
    (name, kind): (&str, &TensorType),
    tensor: &TensorBox,
    may_be_elsewhere: bool,
) -> Outcome<()> {
    check(what, name, &tensor.kind, kind)?;
    if !Arc::ptr_eq(&tensor.session, &graph.session) {
        return Err(Failure::new(
            code::WRONG_DEVICE,
            format!("{what} {name} is of another session"),
        ));
    }
    if tensor.device == graph.position || may_be_elsewhere {
        return Ok(());
    }
    let [there, here] =
        [graph.session.place(tensor.device)?.id, graph.session.place(graph.position)?.id];
    Err(Failure::new(
        code::WRONG_DEVICE,
        format!("{what} {name} is on {there}, and the graph on {here}"),
    ))
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
