//! How does a stage run if its device may have too little memory?
//!
//! The stage's weights are brought to the device, and room is made for the memory that the
//! executable is known to need. If the device runs out of memory nevertheless, everything that is
//! not in use is dropped. After that, more is offloaded until nothing is left to try.

use std::sync::Arc;

use preheat_runtime::device::StageKind;
use preheat_runtime::device::fallback::{Decode, StageOutOfMemory, Strategy};
use preheat_runtime::device::offload::Mode;
use preheat_runtime::device::placement::{self, HOST};
use preheat_runtime::progress::Cancel;
use preheat_runtime::{DeviceTensor, Dropped, Executable};
use preheat_tensor::{Tensor, TensorType};

use super::carry::FromCheckpoint;
use super::error::PipelineError;
use super::home::{Home, Homes};
use super::learned;
use super::model::Model;
use super::resident::Weights;
use super::stage::Stage;
use super::watch::Watch;

/// Runs the stages of one request, each with its weights.
#[derive(Debug, Clone, Copy)]
pub(super) struct StageRunner<'a> {
    pub(super) model: &'a Model,
    pub(super) homes: &'a Homes,
    /// The decision about the weights, on devices of libtorch.
    pub(super) placement: Option<&'a placement::PlacementPlan>,
    pub(super) watch: Watch<'a>,
}

impl<'a> StageRunner<'a> {
    pub(super) fn home(&self, stage: &Stage) -> &'a Home {
        self.homes.of_stage(stage)
    }

    /// How the weights of a stage are brought to its device: as decided for the request, or with
    /// more offloading if the stage has run out of memory since.
    pub(super) fn mode(&self, stage: &Stage) -> Mode {
        let home = self.home(stage);
        let planned = home.decision(self.placement).map_or(Mode::None, |decision| decision.mode);
        home.learned().mode(stage.name, planned)
    }

    /// Brings the weights of a stage to where its executable reads them. `stop` stops the reading.
    pub(super) fn bring(
        &self,
        stage: &Stage,
        mode: Mode,
        stop: &Cancel,
    ) -> Result<Weights, PipelineError> {
        let home = self.home(stage);
        let runtime = &home.runtime;
        let checkpoint = self.model.checkpoint(stage.component);
        home.resident().load(
            &FromCheckpoint { runtime, checkpoint, watch: self.watch, stop },
            stage,
            mode,
        )
    }

    /// Calls `work` with the weights of a stage. If its device runs out of memory, everything that
    /// is not in use is dropped, and then more is offloaded. `decode` says how pictures are being
    /// decoded; it is used in the error's message.
    pub(super) fn run<T>(
        &self,
        (stage, executable): (&Stage, &Executable),
        decode: Decode,
        work: impl Fn(&[Arc<DeviceTensor>]) -> Result<T, PipelineError>,
    ) -> Result<T, PipelineError> {
        offloading(
            || self.mode(stage),
            |mode| self.in_mode((stage, executable), mode, &work),
            |mode| self.offload_more(stage, decode, mode),
            |error, tried| self.out_of_memory(stage, error, tried),
        )
    }

    /// Calls `work` with the weights of a stage, and makes room by dropping what is not in use, but
    /// offloads no more than before.
    pub(super) fn run_as_it_is<T>(
        &self,
        (stage, executable): (&Stage, &Executable),
        work: impl Fn(&[Arc<DeviceTensor>]) -> Result<T, PipelineError>,
    ) -> Result<T, PipelineError> {
        self.in_mode((stage, executable), self.mode(stage), work)
    }

    fn in_mode<T>(
        &self,
        (stage, executable): (&Stage, &Executable),
        mode: Mode,
        work: impl Fn(&[Arc<DeviceTensor>]) -> Result<T, PipelineError>,
    ) -> Result<T, PipelineError> {
        let runtime = &self.home(stage).runtime;
        let weights = self.bring(stage, mode, &Cancel::default())?;
        runtime.make_room(executable.footprint().of_execution());
        dropping(
            || work(&weights),
            || runtime.drop_one(),
            |error, dropped| executable.with_figures(error, dropped),
        )
    }

    /// The mode that is tried next for a stage that ran out of memory in `mode`. It is remembered
    /// for later runs. `None` if nothing is left to try.
    fn offload_more(&self, stage: &Stage, decode: Decode, mode: Mode) -> Option<Strategy> {
        let home = self.home(stage);
        let runtime = &home.runtime;
        let on_cpu = runtime.torch_device().is_none_or(|device| device.id == HOST);
        let next = learned::next(stage.kind, decode, mode, on_cpu)?;
        runtime.warn(format!(
            "stage `{}` ran out of memory on {}: trying again with offload {}",
            stage.name,
            runtime.device().selected,
            next.offload
        ));
        home.learned().note(stage.name, next.offload);
        runtime.give_memory_back();
        Some(next)
    }

    /// The error for a stage that ran out of memory and has nothing left to try.
    fn out_of_memory(
        &self,
        stage: &Stage,
        error: PipelineError,
        tried: Vec<Strategy>,
    ) -> PipelineError {
        let decision = self.home(stage).decision(self.placement);
        let Some(decision) = decision.filter(|decision| decision.device.id != HOST) else {
            return error;
        };
        let (stage, decision) = (stage.name.to_owned(), Box::new(decision.clone()));
        PipelineError::OutOfMemory {
            cause: StageOutOfMemory { stage, decision, tried },
            source: Box::new(error),
        }
    }

    /// Zeros for the inputs of a stage, except its weights.
    pub(super) fn zeros(&self, stage: &Stage) -> Result<Vec<DeviceTensor>, PipelineError> {
        stage.function.inputs().iter().map(|input| self.zero(stage.kind, &input.kind)).collect()
    }

    /// Zeros on the device on which stages of this kind run.
    pub(super) fn zero(
        &self,
        stage: StageKind,
        kind: &TensorType,
    ) -> Result<DeviceTensor, PipelineError> {
        Ok(self.homes.of_kind(stage).runtime.to_device(&zeros_on_the_host(kind)?)?)
    }
}

pub(super) fn zeros_on_the_host(kind: &TensorType) -> Result<Tensor, PipelineError> {
    Ok(Tensor::zeros(kind.clone()).map_err(preheat_runtime::Error::from)?)
}

/// Calls `work` again each time that the device runs out of memory, after `drop_one` has dropped
/// something that is not in use. When nothing is left to drop, `with_figures` makes the error.
fn dropping<T>(
    work: impl Fn() -> Result<T, PipelineError>,
    drop_one: impl Fn() -> Option<Dropped>,
    with_figures: impl FnOnce(preheat_runtime::Error, Dropped) -> preheat_runtime::Error,
) -> Result<T, PipelineError> {
    let mut dropped = Dropped::default();
    loop {
        let error = match work() {
            Err(PipelineError::Runtime(error)) if error.is_out_of_memory() => error,
            done => return done,
        };
        match drop_one() {
            Some(one) => dropped += one,
            None => return Err(with_figures(error, dropped).into()),
        }
    }
}

/// Calls `work` again each time that the device runs out of memory, after `offload_more` has chosen
/// the mode that `mode` returns from then on. When nothing is left to try, `give_up` makes the
/// error.
fn offloading<T>(
    mode: impl Fn() -> Mode,
    work: impl Fn(Mode) -> Result<T, PipelineError>,
    offload_more: impl Fn(Mode) -> Option<Strategy>,
    give_up: impl FnOnce(PipelineError, Vec<Strategy>) -> PipelineError,
) -> Result<T, PipelineError> {
    let mut tried = Vec::new();
    loop {
        let mode = mode();
        let error = match work(mode) {
            Err(error) if error.is_out_of_memory() => error,
            done => return done,
        };
        match offload_more(mode) {
            Some(strategy) => tried.push(strategy),
            None => return Err(give_up(error, tried)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use preheat_runtime::OutOfMemory;

    use super::*;
    use crate::pipeline::learned::Learned;

    fn no_room() -> PipelineError {
        preheat_runtime::Error::OutOfMemory(Box::new(OutOfMemory {
            doing: "running it".to_owned(),
            needed_bytes: None,
            footprint: None,
            free_bytes: None,
            total_bytes: None,
            dropped: Dropped::default(),
            cause: None,
        }))
        .into()
    }

    #[test]
    fn things_are_dropped_until_it_fits_and_no_longer() {
        let left = Cell::new(5);
        let drop_one = || {
            left.set(left.get() - 1);
            Some(Dropped::weights(8))
        };
        let work = || if left.get() > 3 { Err(no_room()) } else { Ok("done") };
        let never = |_, _| unreachable!("there is something to drop");
        assert_eq!(dropping(work, drop_one, never).unwrap(), "done");
        assert_eq!(left.get(), 3);
    }

    #[test]
    fn the_error_has_what_was_dropped_where_nothing_helped() {
        let left = Cell::new(2_u32);
        let drop_one = || {
            left.set(left.get().checked_sub(1)?);
            Some(Dropped::weights(8))
        };
        let seen = Cell::new(Dropped::default());
        let with_figures = |error, dropped| {
            seen.set(dropped);
            error
        };
        let failed = dropping(|| Err::<(), _>(no_room()), drop_one, with_figures);
        assert!(failed.unwrap_err().is_out_of_memory());
        assert_eq!(seen.get(), Dropped { executables: 0, weights: 2, bytes: 16 });
    }

    #[test]
    fn another_error_drops_and_offloads_nothing() {
        let cancelled = || Err::<(), PipelineError>(preheat_runtime::Error::Cancelled.into());
        let failed = dropping(cancelled, || unreachable!(), |_, _| unreachable!()).unwrap_err();
        assert!(matches!(failed, PipelineError::Runtime(preheat_runtime::Error::Cancelled)));
        let failed =
            offloading(|| Mode::None, |_| cancelled(), |_| unreachable!(), |_, _| unreachable!());
        assert!(failed.is_err());
    }

    #[test]
    fn offloading_grows_until_it_fits_and_is_remembered() {
        let (learned, modes) = (Learned::default(), RefCell::new(Vec::new()));
        let more = |mode| {
            let next = learned::next(StageKind::Denoiser, Decode::Slices, mode, false)?;
            learned.note("denoiser", next.offload);
            Some(next)
        };
        let run = |fits_in: Option<Mode>| {
            modes.borrow_mut().clear();
            let work = |mode| {
                modes.borrow_mut().push(mode);
                if Some(mode) == fits_in { Ok(()) } else { Err(no_room()) }
            };
            let tried = RefCell::new(Vec::new());
            let give_up = |error, all| {
                tried.replace(all);
                error
            };
            let done = offloading(|| learned.mode("denoiser", Mode::None), work, more, give_up);
            (done.is_ok(), tried.take().len())
        };
        assert_eq!(run(Some(Mode::Sequential)), (true, 0));
        assert_eq!(*modes.borrow(), [Mode::None, Mode::Sequential]);
        assert_eq!(run(Some(Mode::Sequential)), (true, 0));
        assert_eq!(*modes.borrow(), [Mode::Sequential], "not tried from the start again");
        learned.forget();
        assert_eq!(run(None), (false, 1), "nothing is left after one attempt");
    }
}
