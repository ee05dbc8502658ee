//! Which values does the network take besides latents and prompts, and do their sizes fit the
//! network?

use preheat_ir::graph::{GraphError, Value};

/// The values that Stable Diffusion XL conditions on besides the prompt's tokens.
#[derive(Debug, Clone, Copy)]
pub enum Added {
    /// The form in which diffusers gives them: the network embeds the sizes.
    Parts {
        /// The pooled output of the second text encoder, `f32[n, proj]`.
        text_embeds: Value,
        /// Height and width of the original, top and left of the crop, height and width of the
        /// target: `f32[n, 6]`.
        time_ids: Value,
    },
    /// The form in which the original code and ComfyUI give them: one vector `f32[n, proj + 6 *
    /// time_size]`, in which the sizes are embedded already.
    Joined(Value),
}

/// Checks a size of an operand. The sizes of weights are declared from the operands that they are
/// multiplied with, so a wrong size would not be noticed later.
pub(super) fn same(what: &str, given: u64, wanted: u64) -> Result<(), GraphError> {
    if given == wanted {
        Ok(())
    } else {
        Err(refused(format!("{what} are {given}, and should be {wanted}")))
    }
}

pub(super) fn refused(why: String) -> GraphError {
    GraphError::of_function("unet", why)
}
