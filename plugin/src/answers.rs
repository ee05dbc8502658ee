//! Which calls of a framework about an executable does this library answer itself?
//!
//! It answers two: the call for the optimised program, which the real plugin would serialise anew
//! each time, and the call for the serialised executable, because XLA:CPU cannot completely
//! serialise an executable that it has loaded from bytes.

use std::ops::Range;

use preheat_cache::FrameworkPayload;
use preheat_pjrt::forward::{Incoming, Override, Raised};
use preheat_pjrt::sys::{
    ErrorCode, ExecutableOptimizedProgramArgs, ExecutableSerializeArgs, SerializedExecutable,
};

use crate::caching::{Caching, Table};
use crate::handles::handles;
use crate::wrapped::{Wrapped, wrapped};

/// Puts this file's functions into the table.
pub(crate) fn install(table: &mut Table) {
    table.set::<ExecutableOptimizedProgramArgs>();
    table.set::<ExecutableSerializeArgs>();
}

impl Override<Caching> for ExecutableOptimizedProgramArgs {
    #[expect(unsafe_code, reason = "writes to the caller's program")]
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let known = handles().find(call.args().executable);
        let Some(kept) = known.as_ref().and_then(|known| known.optimized.as_ref()) else {
            return call.forward();
        };
        if call.args().program.is_null() {
            return call.forward();
        }
        // SAFETY: the header requires a program that is valid during the call; these fields are in
        // every version of it.
        let program = unsafe { &mut *call.args().program };
        if !program.code.is_null() {
            if program.code_size < kept.code.len() {
                let what = "the buffer for the optimised program is too short";
                return Err(Raised::ours(ErrorCode::INVALID_ARGUMENT, what));
            }
            // SAFETY: the caller has room for `code_size` bytes, which is enough.
            unsafe {
                let to = program.code.cast::<u8>();
                std::ptr::copy_nonoverlapping(kept.code.as_ptr(), to, kept.code.len());
            }
        }
        program.code_size = kept.code.len();
        program.format = kept.format.as_ptr().cast();
        program.format_size = kept.format.len();
        Ok(())
    }
}

/// A serialised executable that this library owns.
struct Serialized {
    payload: Vec<u8>,
    executable: Range<usize>,
}

/// Frees the bytes that were returned in [`ExecutableSerializeArgs`].
#[expect(unsafe_code, reason = "the caller hands back what it was given")]
unsafe extern "C" fn free(serialized: *mut SerializedExecutable) {
    // SAFETY: the caller calls this once, with the object that came with it, which is a leaked box
    // of this type.
    drop(unsafe { Box::from_raw(serialized.cast::<Serialized>()) });
}

impl Override<Caching> for ExecutableSerializeArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let wrapped = wrapped()?;
        let known = handles().find(call.args().executable).filter(|known| known.is_served);
        let Some(known) = known else { return call.forward() };
        let Some(serialized) = read(wrapped, &known.key) else {
            let what = format!(
                "the executable was loaded from preheat's cache, which no longer has it (graph {})",
                known.key.short()
            );
            return Err(Raised::ours(ErrorCode::DATA_LOSS, what));
        };
        let serialized = Box::new(serialized);
        let bytes = &serialized.payload[serialized.executable.clone()];
        let (start, length) = (bytes.as_ptr(), bytes.len());
        call.answer(|args| {
            args.serialized_bytes = start.cast();
            args.serialized_bytes_size = length;
            args.serialized_executable = Box::into_raw(serialized).cast();
            args.serialized_executable_deleter = Some(free);
        });
        Ok(())
    }
}

fn read(wrapped: &'static Wrapped, key: &preheat_cache::GraphKey) -> Option<Serialized> {
    let (object, _) = wrapped.stores.as_ref()?.load(key, &wrapped.events)?;
    let (payload, _guard) = object.into_payload();
    let executable = FrameworkPayload::split(&payload)?.0.executable.len();
    let executable = payload.len() - executable..payload.len();
    Some(Serialized { payload, executable })
}
