//! Does the library count a request once, however it ends? A request here is for a single
//! executable, or a program opens it for several executables.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;
use std::sync::Arc;

use pjrt_sim::When;
use preheat::{
    BuilderId, Dtype, Graph, Program, Runtime, Signature, Statistics, create_execution_signature,
};
use preheat_runtime::device::{DeviceName, DeviceRequest};
use preheat_runtime::{Error, Padding, Percent, Purpose, RequestOutcome, RuntimeBuilder, Scaled};
use support::lab::{DOUBLE, SQUARE, library};
use support::{Lab, in_child};

fn builder(lab: &Lab) -> RuntimeBuilder {
    let request = DeviceRequest { device: DeviceName::XlaCpu, ..DeviceRequest::default() };
    Runtime::builder().device(request).plugin(library()).cache_dir(lab.cache())
}

fn open(lab: &Lab) -> Runtime {
    builder(lab).build().unwrap()
}

fn program(text: &str) -> Program {
    Program::sniff(text.as_bytes()).unwrap()
}

fn signature() -> Signature {
    create_execution_signature("model", [1, 4, 64, 64], 1, 7.0, "euler", 20, Dtype::Float32)
        .unwrap()
}

/// The counts of requests that were served warm, served after a compile, refused, failed and
/// interrupted.
fn outcomes(statistics: &Statistics) -> [u64; 5] {
    statistics.requests.outcomes.each().map(|(_, count)| count)
}

#[test]
fn each_executable_that_is_asked_for_alone_is_a_request() {
    in_child("each_executable_that_is_asked_for_alone_is_a_request", Lab::sim, |lab| {
        let runtime = open(lab);
        for _ in 0..1000 {
            runtime.get_or_compile(&signature(), &program(DOUBLE)).unwrap();
        }
        let counted = runtime.stats().unwrap();
        assert_eq!(outcomes(&counted), [999, 1, 0, 0, 0]);
        assert_eq!((counted.stages.hits.memory, counted.stages.compiles), (999, 1));
        assert_eq!(counted.requests.groups[0].size, "1x4x64x64");
        runtime.warmup(&signature(), &program(DOUBLE)).unwrap();
        runtime.request(&signature(), &program(SQUARE)).precompile().unwrap();
        let warmed = runtime.stats().unwrap();
        assert_eq!(
            (outcomes(&warmed), &warmed.stages.hits),
            (outcomes(&counted), &counted.stages.hits)
        );
        let of_warming = warmed.warming.requests.outcomes;
        assert_eq!((of_warming.served_warm, of_warming.served_after_compile), (1, 1));
        assert_eq!((warmed.warming.compiles, warmed.warming.hits.memory), (1, 1));
        let saved = [&counted, &warmed].map(|one| one.stages.compile_seconds_saved.to_bits());
        assert_eq!(saved[0], saved[1], "a warmup saves nothing");
        // Asking whether a request would hit is not counted as a request.
        runtime.lookup(&signature(), &program(DOUBLE)).unwrap();
        assert_eq!(outcomes(&runtime.stats().unwrap()), outcomes(&counted));
    });
}

#[test]
fn a_request_that_was_opened_counts_once_with_all_its_stages() {
    let second_fails = |lab: &Lab| lab.sim().fail_compile(When::Nth(2));
    in_child("a_request_that_was_opened_counts_once_with_all_its_stages", second_fails, |lab| {
        let runtime = open(lab);
        let serve = |text: &str, require_warm| {
            let open = Arc::new(runtime.open_request(Purpose::Serving, "sd15", "512x512"));
            let part = runtime.part_of(&open);
            let (signature, program) = (signature(), program(text));
            for _ in 0..3 {
                let request = part.request(&signature, &program);
                if let Err(error) = request.require_warm(require_warm).get() {
                    return open.close(Some(error.outcome()));
                }
            }
            open.close(None);
        };
        serve(DOUBLE, false);
        serve(DOUBLE, true);
        serve(SQUARE, true);
        serve(SQUARE, false);
        // The program closes neither of these requests: it drops the first, and panics during the
        // second.
        drop(runtime.open_request(Purpose::Serving, "sd15", "512x512"));
        let panicked = std::thread::scope(|scope| {
            let panics = || {
                let _open = runtime.open_request(Purpose::Serving, "sd15", "512x512");
                std::panic::resume_unwind(Box::new("a panic without its message"));
            };
            scope.spawn(panics).join()
        });
        assert!(panicked.is_err());
        let counted = runtime.stats().unwrap();
        assert_eq!(outcomes(&counted), [1, 1, 1, 2, 1]);
        assert_eq!(
            (counted.stages.compiles, counted.stages.failed_compiles, counted.stages.misses),
            (1, 1, 1)
        );
        assert_eq!((counted.stages.hits.memory, counted.requests.in_flight), (5, 0));
        assert_eq!(counted.requests.groups.len(), 1);
        assert_eq!(counted.requests.groups[0].size, "512x512");
        assert_eq!(counted.requests.request_seconds.count, 2);
        // The first `close` ends a request; a second one changes nothing.
        let twice = runtime.open_request(Purpose::Serving, "sd15", "512x512");
        twice.close(None);
        twice.close(Some(RequestOutcome::Failed));
        drop(twice);
        assert_eq!(outcomes(&runtime.stats().unwrap()), [2, 1, 1, 2, 1]);
    });
}

#[test]
fn a_request_that_snaps_is_one_request() {
    in_child("a_request_that_snaps_is_one_request", Lab::sim, |lab| {
        let runtime = open(lab);
        let graph = |length: u64| {
            let side = Scaled { dimension: 0, of: 0, factor: 1 };
            let build = move || Ok(program(&DOUBLE.replace("4xf32", &format!("{length}xf32"))));
            Graph::built_by(BuilderId("line-1".to_owned()), build)
                .padding(Padding::default().input(0, side).output(0, side))
        };
        let of = |length: u64| Signature { input_shape: vec![length], ..signature() };
        let snap = |length| {
            runtime.get_or_snap(&of(length), &graph(length), Percent::new(50.0).unwrap()).unwrap()
        };
        runtime.get_or_compile(&of(8), &graph(8)).unwrap();
        snap(6);
        assert_eq!(outcomes(&runtime.stats().unwrap()), [1, 1, 0, 0, 0]);
        // No warm size is near enough, so the request is compiled at its own size.
        snap(2);
        assert_eq!(outcomes(&runtime.stats().unwrap()), [1, 2, 0, 0, 0]);
        let cold = runtime.request(&of(3), &graph(3)).require_warm(true).get();
        assert!(matches!(cold, Err(Error::NotWarm(_))));
        assert_eq!(outcomes(&runtime.stats().unwrap()), [1, 2, 1, 0, 0]);
    });
}
