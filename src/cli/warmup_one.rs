//! Which warmup does a command need: of a model or of programs, on a device of this machine or for
//! a target?

use super::args::WarmupArgs;
use super::context::Context;
use super::{CliError, Status, warmup_ahead, warmup_here};

/// Warms one model, or programs, here or for one target.
pub(super) fn warm_one(context: &Context, args: &WarmupArgs) -> Result<Status, CliError> {
    match (args.program.is_empty(), &args.aot) {
        (true, None) => warmup_here::warm_model(context, args),
        (true, Some(_)) => warmup_ahead::of_model(context, args),
        (false, None) => warmup_here::warm_programs(context, args),
        (false, Some(target)) => warmup_ahead::of_programs(context, args, target),
    }
}
