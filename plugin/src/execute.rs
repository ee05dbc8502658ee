//! What has to be changed in an execution before it is forwarded? Only the struct of options, if it
//! is too short. A framework that was built against an older header, such as `torch_xla` 2.9 over
//! XLA:CPU, passes a shorter struct than the real plugin requires. The options are therefore copied
//! into a struct of the length in this library's header. The additional fields are zero, which is
//! the default of each.

use preheat_pjrt::forward::{Incoming, Override, Raised};
use preheat_pjrt::sys::{Args as _, ExecuteOptions, LoadedExecutableExecuteArgs};

use crate::caching::{Caching, Table};

/// Puts this file's function into the table.
pub(crate) fn install(table: &mut Table) {
    table.set::<LoadedExecutableExecuteArgs>();
}

impl Override<Caching> for LoadedExecutableExecuteArgs {
    #[expect(unsafe_code, reason = "reads the caller's options")]
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let given = call.args().options;
        if given.is_null() {
            return call.forward();
        }
        // SAFETY: the header requires valid options, which start with their size.
        let size = unsafe { given.cast::<usize>().read() };
        if size >= ExecuteOptions::STRUCT_SIZE {
            return call.forward();
        }
        let mut whole = ExecuteOptions::new();
        let struct_size = whole.struct_size;
        // SAFETY: the caller's struct has `size` bytes, and `whole` has more.
        unsafe {
            let to = (&raw mut whole).cast::<u8>();
            std::ptr::copy_nonoverlapping(given.cast::<u8>(), to, size);
        }
        whole.struct_size = struct_size;
        // SAFETY: `whole` meets the header's requirements, and outlives the call below.
        unsafe { call.args_mut() }.options = &raw mut whole;
        let done = call.forward();
        // SAFETY: this is the pointer that the caller passed, so the args are the caller's again.
        unsafe { call.args_mut() }.options = given;
        done
    }
}
