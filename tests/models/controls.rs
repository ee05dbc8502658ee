//! Do requests that run at the same time on one pipeline stay apart? Each has its own progress, and
//! can be stopped alone.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use preheat_diffusion::pipeline::{Pipeline, PipelineError, Precompile, TextToImage};
use preheat_runtime::Runtime;
use preheat_runtime::device::{DeviceName, DeviceRequest};
use preheat_runtime::progress::{Cancel, Control, Event, EventKind, Progress};
use support::demo::demo_model;
use support::lab::library;
use support::{Lab, in_child};

const STEPS: u64 = 12;

/// Records how many steps were reported to it. If `stop` is set, it cancels the request after
/// the given number of steps.
#[derive(Default)]
struct Told {
    steps: AtomicUsize,
    stop: Option<(usize, Cancel)>,
}

impl Told {
    fn steps(&self) -> u64 {
        self.steps.load(Ordering::SeqCst) as u64
    }
}

impl Progress for Told {
    fn event(&self, event: Event) {
        if let EventKind::Step { done, .. } = event.kind {
            self.steps.store(done, Ordering::SeqCst);
            if let Some((_, cancel)) = self.stop.as_ref().filter(|(after, _)| done >= *after) {
                cancel.cancel();
            }
        }
    }
}

fn request() -> TextToImage {
    TextToImage {
        width: Some(32),
        height: Some(32),
        steps: STEPS,
        scheduler: Some("euler".to_owned()),
        seed: Some(7),
        ..TextToImage::new("the digit seven")
    }
}

fn open(lab: &Lab, progress: &Arc<Told>) -> Pipeline {
    let device = DeviceRequest { device: DeviceName::XlaCpu, ..DeviceRequest::default() };
    let builder = Runtime::builder().device(device).plugin(library()).cache_dir(lab.cache());
    let runtime = builder.progress(progress.clone()).build().unwrap();
    Pipeline::open(&runtime, demo_model()).unwrap()
}

fn was_stopped<T>(result: Result<T, PipelineError>) -> bool {
    result.is_err_and(|error| error.is_cancelled())
}

#[test]
fn a_request_that_is_stopped_leaves_those_beside_it_alone() {
    in_child("a_request_that_is_stopped_leaves_those_beside_it_alone", Lab::sim, |lab| {
        let of_runtime = Arc::new(Told::default());
        let pipeline = open(lab, &of_runtime);
        let request = request();
        pipeline.warmup(&request, false).unwrap();
        let cancel = Cancel::default();
        let stops = Told { stop: Some((2, cancel.clone())), ..Told::default() };
        let stops = Control::default().progress(Arc::new(stops)).cancel(cancel);
        let told = Arc::new(Told::default());
        let goes_on = Control::default().progress(told.clone());
        let run = |control| pipeline.controlled_by(control).run(&request);
        let (stopped, made) = std::thread::scope(|scope| {
            let [one, other] = [&stops, &goes_on].map(|control| scope.spawn(move || run(control)));
            (one.join().unwrap(), other.join().unwrap())
        });
        assert!(was_stopped(stopped));
        let made = made.unwrap();
        assert_eq!(told.steps(), STEPS, "each step was reported to the request's own listener");
        assert_eq!(of_runtime.steps(), 0, "no step was reported to the runtime's listener");
        let again = pipeline.run(&request).unwrap();
        assert_eq!(again.pictures, made.pictures);
        assert_eq!(
            of_runtime.steps(),
            STEPS,
            "the runtime's listener gets the steps of requests without a control"
        );
        let json = serde_json::to_value(&made).unwrap();
        assert_eq!(json["pictures"][0]["settings"]["seed"], 7);
        assert!(json["pictures"][0].get("rgb").is_none() && json.get("latents").is_none());
        assert!(json["weights_ready_seconds"].as_f64().unwrap() > 0.0, "{json}");
    });
}

#[test]
fn what_was_stopped_before_it_began_runs_nothing() {
    in_child("what_was_stopped_before_it_began_runs_nothing", Lab::sim, |lab| {
        let pipeline = open(lab, &Arc::default());
        let control = Control::default();
        control.flag().cancel();
        let stopped = pipeline.controlled_by(&control);
        assert!(was_stopped(stopped.run(&request())));
        assert!(was_stopped(stopped.warmup(&request(), false)));
        assert!(was_stopped(stopped.get_ready(&request())));
        assert!(was_stopped(stopped.precompile(&[request()], Precompile::default())));
        assert_eq!(lab.executes(), 0);
        assert!(
            stopped.plan(&request()).is_ok(),
            "a plan takes no time, so a stopped handle still makes one"
        );
        pipeline.run(&request()).unwrap();
    });
}
