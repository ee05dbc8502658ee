//! How is a compile served? From a store, if a store has the executable; otherwise by the real
//! plugin, once for all threads and processes that share the store.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use preheat_cache::{
    CompileLock, FrameworkPayload, GraphRecord, LoadedObject, LockHolder, LockOutcome, Match,
    Source, Use, Wait, WantedEntry,
};
use preheat_pjrt::forward::{Incoming, Override, Raised};
use preheat_pjrt::sys::{
    Args as _, ClientCompileArgs, ErrorCode, ExecutableDeserializeAndLoadArgs, LoadedExecutable,
};

use crate::caching::{Caching, Table};
use crate::events::{Event, Outcome};
use crate::handles::{Known, handles};
use crate::kept::OptimizedProgram;
use crate::keys::{Asked, Refused};
use crate::lifetime::Described;
use crate::store::Stores;
use crate::wrapped::{Wrapped, wrapped};

/// How often a thread that waits for another process's compile checks whether the executable is
/// stored.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Puts this file's functions into the table.
pub(crate) fn install(table: &mut Table) {
    table.set::<ClientCompileArgs>();
}

impl Override<Caching> for ClientCompileArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let wrapped = wrapped()?;
        let Some(stores) = &wrapped.stores else { return call.forward() };
        let began = Instant::now();
        let asked = or_refused(|| Asked::read(wrapped, call.args()));
        let asked = match asked {
            Ok(asked) => asked,
            Err(Refused { name, why }) => {
                let forwarded = call.forward();
                let outcome = if forwarded.is_ok() { Outcome::Forwarded } else { Outcome::Failed };
                Compile { wrapped, stores, began }.tell(outcome, &name, |event| {
                    event.reason = Some(&why);
                });
                return forwarded;
            }
        };
        Compile { wrapped, stores, began }.answer(call, &asked)
    }
}

/// If computing the key panics, the compile counts as refused, and is therefore forwarded.
fn or_refused(read: impl FnOnce() -> Result<Asked, Refused>) -> Result<Asked, Refused> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(Refused { name: String::new(), why: "preheat failed on it".to_owned() })
    })
}

/// The right to compile, or the reason why this process did not get it.
enum Right {
    Held(CompileLock),
    /// Locks do not work here, or the store may not be written.
    Without,
    /// Another process stored the executable meanwhile.
    IsThere,
    /// Another process compiled it meanwhile, and failed.
    Failed(Raised),
}

/// A compile that is being served.
struct Compile {
    wrapped: &'static Wrapped,
    stores: &'static Stores,
    began: Instant,
}

impl Compile {
    fn answer(
        &self,
        mut call: Incoming<'_, ClientCompileArgs>,
        asked: &Asked,
    ) -> Result<(), Raised> {
        let client = call.args().client;
        let serve = || catch_unwind(AssertUnwindSafe(|| self.serve(client, asked))).ok().flatten();
        let mut served = serve();
        let lock = if served.is_some() {
            None
        } else {
            if self.wrapped.settings.require_warm {
                return Err(self.not_warm(asked));
            }
            match self.right(asked) {
                Right::Failed(error) => {
                    self.tell(Outcome::Failed, &asked.name, |event| event.key = Some(asked.key));
                    return Err(error);
                }
                Right::IsThere => {
                    served = serve();
                    None
                }
                Right::Held(lock) => {
                    if lock.waited().is_some() {
                        served = serve();
                    }
                    Some(lock)
                }
                Right::Without => None,
            }
        };
        if let Some(loaded) = served {
            call.answer(|args| args.executable = loaded);
            return Ok(());
        }
        let compiling = Instant::now();
        if let Err(error) = call.forward() {
            self.failed(asked, lock, &error);
            return Err(error);
        }
        let seconds = compiling.elapsed().as_secs_f64();
        let loaded = call.args().executable;
        let stored = catch_unwind(AssertUnwindSafe(|| self.keep(asked, loaded, seconds)))
            .unwrap_or_else(|_| Err("preheat failed on it".to_owned()));
        drop(lock);
        let differs = self.differences(asked);
        self.tell(
            if stored.is_ok() { Outcome::Compiled } else { Outcome::NotStored },
            &asked.name,
            |event| {
                event.key = Some(asked.key);
                event.compile_seconds = Some(seconds);
                event.reason = stored.as_ref().err().map(String::as_str);
                event.differs = &differs;
            },
        );
        Ok(())
    }

    /// Loads the executable from a store. `None` if no store has it, or if the plugin refuses it.
    fn serve(
        &self,
        client: *mut preheat_pjrt::sys::Client,
        asked: &Asked,
    ) -> Option<*mut LoadedExecutable> {
        let (object, source) = self.stores.load(&asked.key, &self.wrapped.events)?;
        let (parts, format) = FrameworkPayload::split(&object.payload)?;
        let loading = Instant::now();
        let mark = self.stores.main().mark_load(&object);
        let loaded = self.load(client, asked, &object, parts.executable);
        drop(mark);
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                // The program is compiled instead. The usual cause is that this process has not
                // registered a handler that the executable calls; the stored object is not damaged.
                let (_, message) = error.describe();
                let why = format!("a stored executable was not taken: {message}");
                self.tell(Outcome::Forwarded, &asked.name, |event| {
                    event.key = Some(asked.key);
                    event.reason = Some(&why);
                });
                return None;
            }
        };
        let load_seconds = loading.elapsed().as_secs_f64();
        let compile_seconds = object.record.measurements.compile_seconds;
        let optimized = parts.optimized.and_then(|code| OptimizedProgram::new(&format, code));
        let known = Known { key: asked.key, optimized, is_served: true };
        handles().remember(loaded, Arc::new(known));
        self.stores.used(self.usage(asked, source, Match::Graph, Some(load_seconds), None));
        self.tell(Outcome::Served, &asked.name, |event| {
            event.key = Some(asked.key);
            event.compile_seconds = Some(compile_seconds);
        });
        Some(loaded)
    }

    /// Has the real plugin load machine code. If the code was compiled for another device than the
    /// wanted one, the options of this compile are passed along.
    #[expect(unsafe_code, reason = "calls the real plugin")]
    fn load(
        &self,
        client: *mut preheat_pjrt::sys::Client,
        asked: &Asked,
        object: &LoadedObject,
        executable: &[u8],
    ) -> Result<*mut LoadedExecutable, Raised> {
        let wanted = asked.inputs.options.framework.as_ref();
        let have = object.record.options.framework.as_ref();
        let assignment = |options: Option<&preheat_cache::FrameworkOptions>| {
            options.map(|options| options.device_assignment().to_vec())
        };
        let overridden = wanted.filter(|_| assignment(have) != assignment(wanted));
        let overridden = overridden.map(preheat_cache::FrameworkOptions::raw);
        let mut args = ExecutableDeserializeAndLoadArgs {
            client,
            serialized_executable: executable.as_ptr().cast(),
            serialized_executable_size: executable.len(),
            overridden_serialized_compile_options: overridden
                .map_or(std::ptr::null(), |options| options.as_ptr().cast()),
            overridden_serialized_compile_options_size: overridden.map_or(0, <[u8]>::len),
            ..ExecutableDeserializeAndLoadArgs::new()
        };
        // SAFETY: the caller's client lives during its call; bytes and options outlive this one.
        unsafe { self.wrapped.real.call(&mut args) }?;
        Ok(args.loaded_executable)
    }

    /// Takes the right to compile this program, which only one process has at a time.
    fn right(&self, asked: &Asked) -> Right {
        let main = self.stores.main();
        if main.is_read_only() {
            return Right::Without;
        }
        let (mut next_look, mut is_there) = (Duration::ZERO, false);
        let waiting = |waited: Duration, _: Option<LockHolder>| {
            if waited >= next_look {
                next_look = waited + LOOK_EVERY;
                is_there = self.stores.has_object(&asked.key);
            }
            if is_there { Wait::Cancel } else { Wait::Continue }
        };
        let outcome = main.compile_lock(&asked.key, waiting);
        let waits = || self.stores.count(|counters| counters.single_flight_waits += 1);
        match outcome {
            Ok(LockOutcome::Held(lock)) => {
                if lock.waited().is_some() {
                    waits();
                }
                Right::Held(lock)
            }
            Ok(LockOutcome::Cancelled) => {
                waits();
                Right::IsThere
            }
            Ok(LockOutcome::Failed { reason, .. }) => {
                waits();
                Right::Failed(told(&reason))
            }
            Ok(LockOutcome::Unavailable) => Right::Without,
            Err(error) => {
                self.wrapped.events.store_failed("locking a program", &error);
                Right::Without
            }
        }
    }

    /// Records that a compile failed. The processes that wait for the compile get the error, too,
    /// unless it comes from the present state of this process's device.
    fn failed(&self, asked: &Asked, lock: Option<CompileLock>, error: &Raised) {
        let (code, message) = error.describe();
        self.stores.count(|counters| counters.failed_compiles += 1);
        if let Some(mut lock) = lock.filter(|_| !is_passing(code)) {
            lock.fail(&format!("{} {message}", code.0));
        }
        self.tell(Outcome::Failed, &asked.name, |event| {
            event.key = Some(asked.key);
            event.reason = Some(&message);
        });
    }

    /// Stores the executable that was just compiled. The error says why it cannot be stored.
    fn keep(
        &self,
        asked: &Asked,
        loaded: *mut LoadedExecutable,
        compile_seconds: f64,
    ) -> Result<(), String> {
        let words = |error: Raised| error.describe().1;
        let described = Described::of(self.wrapped.real, loaded).map_err(words)?;
        let optimized = described.optimized_program();
        let known = |optimized| Known { key: asked.key, optimized, is_served: false };
        handles().remember(loaded, Arc::new(known(optimized.clone())));
        let executable = described.serialize().map_err(words)?;
        let payload = FrameworkPayload {
            executable: &executable,
            optimized: optimized.as_ref().map(|program| &*program.code),
        };
        let format = optimized.as_ref().map_or("", |program| program.format);
        let payload = payload.join(format).map_err(|error| error.to_string())?;
        let mut record = GraphRecord::new(&asked.name, self.device(asked), &asked.inputs);
        record.measurements.compile_seconds = compile_seconds;
        if let Some(program) = &optimized {
            describe(&mut record, program);
        }
        if !self.stores.put(&record, &asked.inputs.program, &payload, &self.wrapped.events) {
            return Err("the cache cannot be written".to_owned());
        }
        let usage =
            self.usage(asked, Source::Compiled, Match::Compiled, None, Some(compile_seconds));
        self.stores.used(usage);
        Ok(())
    }

    fn usage(
        &self,
        asked: &Asked,
        source: Source,
        matched: Match,
        load_seconds: Option<f64>,
        compile_seconds: Option<f64>,
    ) -> Use {
        Use {
            graph_key: asked.key,
            device: self.device(asked).to_owned(),
            matched,
            source,
            signature: None,
            load_seconds,
            compile_seconds,
            times: 1,
        }
    }

    /// The device by its name on preheat's command line.
    #[expect(clippy::unused_self, reason = "it reads as a property of the compile")]
    fn device(&self, asked: &Asked) -> &'static str {
        match asked.inputs.environment.platform.as_str() {
            "tpu" => "tpu",
            "cuda" | "gpu" | "rocm" => "xla-cuda",
            _ => "xla-cpu",
        }
    }

    /// The fields in which a missing program differs from the most similar stored one.
    fn differences(&self, asked: &Asked) -> Vec<String> {
        if !self.wrapped.events.are_read() {
            return Vec::new();
        }
        let wanted = WantedEntry {
            program: Some(asked.inputs.program.digest()),
            stage: &asked.name,
            signature: None,
            projection: None,
            environment: &asked.inputs.environment,
            options: &asked.inputs.options,
        };
        let nearest = self.stores.main().nearest(&wanted).ok().flatten();
        let others = nearest.filter(|nearest| nearest.record.graph_key != asked.key);
        others.map_or_else(Vec::new, |nearest| {
            let one = |difference: &preheat_cache::Difference| {
                format!("{}: {} -> {}", difference.field, difference.have, difference.want)
            };
            nearest.differences.iter().map(one).collect()
        })
    }

    fn not_warm(&self, asked: &Asked) -> Raised {
        self.tell(Outcome::NotWarm, &asked.name, |event| {
            event.key = Some(asked.key);
            event.reason = Some("not being warm, which was required");
        });
        let message = format!(
            "preheat: `{}` (graph {}) is not in the cache {}, and PREHEAT_REQUIRE_WARM forbids \
             compiling it: run the program once without it",
            asked.name,
            asked.key.short(),
            self.stores.main().dir().display()
        );
        Raised::ours(ErrorCode::FAILED_PRECONDITION, message)
    }

    fn tell<'a>(&self, outcome: Outcome, program: &'a str, more: impl FnOnce(&mut Event<'a>)) {
        let mut event = Event {
            outcome,
            program,
            key: None,
            seconds: self.began.elapsed().as_secs_f64(),
            compile_seconds: None,
            reason: None,
            differs: &[],
        };
        more(&mut event);
        self.wrapped.events.add(&event);
    }
}

/// Records how many instructions and fusions the optimised program has.
fn describe(record: &mut GraphRecord, program: &OptimizedProgram) {
    let program = preheat_pjrt::OptimizedProgram {
        format: program.format.to_owned(),
        code: program.code.to_vec(),
    };
    if let Ok(counts) = preheat_pjrt::hlo::program_counts(&program) {
        let counts = [("instructions", counts.instructions), ("fusions", counts.fusions)];
        record.measurements.program_counts =
            counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    }
}

/// Whether a failure comes from the present state of a device or its memory, so that another
/// attempt may succeed.
fn is_passing(code: ErrorCode) -> bool {
    let passing = [
        ErrorCode::CANCELLED,
        ErrorCode::DEADLINE_EXCEEDED,
        ErrorCode::RESOURCE_EXHAUSTED,
        ErrorCode::UNAVAILABLE,
    ];
    passing.contains(&code)
}

/// The error of another process's compile, with its code.
fn told(reason: &str) -> Raised {
    let split = reason
        .split_once(' ')
        .and_then(|(code, message)| Some((ErrorCode(code.parse().ok()?), message)));
    let (code, message) = split.unwrap_or((ErrorCode::UNKNOWN, reason));
    Raised::ours(code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_sees_the_code_of_the_one_who_compiled() {
        let described = |reason: &str| told(reason).describe();
        let expected = (ErrorCode::INVALID_ARGUMENT, "bad shape 3".to_owned());
        assert_eq!(described("3 bad shape 3"), expected);
        assert_eq!(described("no code").0, ErrorCode::UNKNOWN);
        assert!(is_passing(ErrorCode::RESOURCE_EXHAUSTED));
        assert!(!is_passing(ErrorCode::INVALID_ARGUMENT));
    }
}
