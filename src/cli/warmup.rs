//! What does `preheat warmup` warm: one model, programs, what a manifest lists, or what earlier
//! commands left behind?

use super::args::WarmupArgs;
use super::context::Context;
use super::{CliError, Status, warmup_finish, warmup_manifest, warmup_one};

pub(super) fn warmup(context: &Context, args: &WarmupArgs) -> Result<Status, CliError> {
    context.args.refuse_warmup()?;
    if args.jobs.is_some() && args.aot.is_none() && args.manifest.is_none() && !args.finish {
        return Err(CliError::Usage(
            "--jobs bounds compiles in processes of their own: add --aot, --manifest or --finish"
                .to_owned(),
        ));
    }
    match &args.manifest {
        _ if args.finish => warmup_finish::finish(context, args),
        Some(path) => warmup_manifest::of_manifest(context, args, path),
        None => warmup_one::warm_one(context, args),
    }
}
