//! Can a larger shape that is warm serve a request whose own shape is cold?
//!
//! The request is padded to the larger shape, and its result is cropped, so that nothing has to be
//! compiled. The waste is stated relative to what is computed: `(larger - own) / larger`, in
//! elements of the signature's `input_shape`, which for pictures is their area. At 50 percent,
//! twice as much is computed as the request would take at its own size.

use std::collections::BTreeSet;

use preheat_cache::{GraphRecord, Signature};
use preheat_tensor::Tensor;

use super::Runtime;
use super::digests::RequestDigests;
use super::error::Error;
use super::executable::Executable;
use super::fit::Fit;
use super::percent::Percent;
use super::source::Graph;

/// An executable that serves a request, at the request's own shape or at a larger one.
#[derive(Debug, Clone)]
pub struct Snapped {
    executable: Executable,
    /// `None` if the executable has the request's own shape.
    fit: Option<Fit>,
}

impl Snapped {
    /// The executable. It takes and returns tensors of the shape that it was compiled for.
    pub fn executable(&self) -> &Executable {
        &self.executable
    }

    /// The `input_shape` that it was compiled for, and how much of it is wasted; `None` if it is
    /// the request's own shape.
    pub fn larger_shape(&self) -> Option<(&[u64], Percent)> {
        let fit = self.fit.as_ref()?;
        Some((&fit.larger, Percent::wasted(elements(&fit.own), elements(&fit.larger))))
    }

    /// Runs it on tensors of the request's shape. The inputs are padded with zeros at their ends,
    /// and only the beginning of each output is returned, as the graph's
    /// [`Padding`](super::Padding) declares.
    ///
    /// # Errors
    /// The errors of [`Executable::run_to_host`], and an error if a tensor does not have the
    /// declared size.
    pub fn run_to_host(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
        match &self.fit {
            None => self.executable.run_to_host(inputs),
            Some(fit) => fit.crop(&self.executable.run_to_host(&fit.pad(inputs)?)?),
        }
    }
}

impl Runtime {
    /// Returns the executable of the request's own shape if it is warm. Otherwise the smallest
    /// larger shape that is warm serves the request, if the graph's builder declared a
    /// [`Padding`](super::Padding) and no more than `most_waste` of the larger shape is wasted. If
    /// there is no such shape, the graph is compiled as [`Self::get_or_compile`] does.
    ///
    /// The larger shapes are those of recorded requests that are otherwise like this one. The graph
    /// must be given as a builder ([`Graph::built_by`]), since a program has only one shape.
    ///
    /// # Errors
    /// The errors of [`Self::get_or_compile`].
    pub fn get_or_snap(
        &self,
        signature: &Signature,
        graph: &Graph,
        most_waste: Percent,
    ) -> Result<Snapped, Error> {
        let own = |executable| Snapped { executable, fit: None };
        match self.request(signature, graph).only_if_warm().get() {
            Err(Error::NotWarm(_)) => {}
            other => return other.map(own),
        }
        for larger in self.larger_shapes(signature, graph, most_waste) {
            let asked = Signature { input_shape: larger.clone(), ..signature.clone() };
            // The recorded executable may have been removed since. The graph is then not built
            // here, because this builder builds another shape.
            let executable = match self.request(&asked, &graph.never_built()).only_if_warm().get() {
                Ok(executable) => executable,
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(error) => {
                    tracing::debug!(stage = graph.stage_name(), ?larger, %error, "a larger shape cannot serve");
                    continue;
                }
            };
            let own = signature.input_shape.clone();
            let (wasted, stage) =
                (Percent::wasted(elements(&own), elements(&larger)), graph.stage_name().to_owned());
            tracing::info!(stage, ?own, ?larger, %wasted, "snapped to a larger shape that is warm");
            let padding = graph.declared_padding().cloned().unwrap_or_default();
            return Ok(Snapped { executable, fit: Some(Fit { stage, padding, own, larger }) });
        }
        self.request(signature, graph).get().map(own)
    }

    /// Every record of the main store and of the fallback stores. A read-only store has no index,
    /// so its records are read from its objects.
    pub fn records(&self) -> Vec<GraphRecord> {
        let mut records = Vec::new();
        if let Some(cache) = &self.inner.cache {
            cache.each_record(&self.inner.warnings, &mut |record| records.push(record.clone()));
        }
        records
    }

    /// The shapes that may serve a request, by what its graph's builder declared. The smallest
    /// comes first.
    fn larger_shapes(
        &self,
        signature: &Signature,
        graph: &Graph,
        most_waste: Percent,
    ) -> Vec<Vec<u64>> {
        let Some(padding) = graph.declared_padding() else { return Vec::new() };
        let own = &signature.input_shape;
        let mut shapes = self.recorded_shapes(signature, graph);
        shapes.retain(|larger| {
            larger != own
                && padding.covers(own, larger)
                && Percent::wasted(elements(own), elements(larger)) <= most_waste
        });
        shapes.sort_by_key(|shape| elements(shape));
        shapes
    }

    /// Every `input_shape` for which the cache has an executable, built by the builder of `graph`,
    /// for this device and for requests like `signature`. The request's own shape may be among
    /// them.
    pub fn recorded_shapes(&self, signature: &Signature, graph: &Graph) -> Vec<Vec<u64>> {
        let Some(cache) = &self.inner.cache else { return Vec::new() };
        let (stage, options, environment) =
            (graph.stage_name(), graph.compile_options(), &self.inner.site.environment_digest);
        let mut shapes = BTreeSet::new();
        let mut add = |record: &GraphRecord| {
            if !record.answers(stage, options, environment) || !cache.has_object(&record.graph_key)
            {
                return;
            }
            for recorded in &record.signatures {
                let shape = &recorded.signature.input_shape;
                let asked = Signature { input_shape: shape.clone(), ..signature.clone() };
                if !shapes.contains(shape)
                    && RequestDigests::of(&asked, graph, environment).projection_key
                        == recorded.projection_key
                {
                    shapes.insert(shape.clone());
                }
            }
        };
        cache.each_record(&self.inner.warnings, &mut add);
        shapes.into_iter().collect()
    }
}

/// The number of elements of a shape.
fn elements(shape: &[u64]) -> u64 {
    shape.iter().copied().fold(1, u64::saturating_mul)
}
