//! What is a graph made from, and what does its builder promise about it?

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use preheat_cache::{BuilderId, CompileOptions, Program, Projection};

use super::padding::Padding;

/// Why a builder could not build its graph.
pub type BuildError = Box<dyn std::error::Error + Send + Sync>;

type Build = Arc<dyn Fn() -> Result<Program, BuildError> + Send + Sync>;

/// One graph of a model: a program, or a function that builds one, with its builder's declarations.
///
/// The key of a graph that is given as a [`Program`] covers that program. A graph that is given as
/// a builder is first looked up by the signature's projection, and built only if that look-up finds
/// nothing. Its [`BuilderId`] must therefore change whenever the builder would build another graph
/// for the same projected signature.
#[derive(Clone)]
pub struct Graph {
    stage: String,
    builder: BuilderId,
    projection: Projection,
    options: CompileOptions,
    padding: Option<Padding>,
    origin: Origin,
}

#[derive(Clone)]
enum Origin {
    Program(Program),
    Builder(Build),
}

impl Graph {
    /// The stage name of a graph that was not given one.
    pub const DEFAULT_STAGE: &'static str = "program";

    /// A graph whose program is at hand. It declares no projection, so level 1 finds it only by the
    /// exact signature. Its options have the numbers of replicas and partitions that the program
    /// declares.
    pub fn from_program(program: Program) -> Self {
        Self {
            stage: Self::DEFAULT_STAGE.to_owned(),
            // The program takes the place of a builder: another program under the same signature is
            // another entry.
            builder: BuilderId::of_program(&program),
            projection: Projection::exact(),
            options: options_for(&program),
            padding: None,
            origin: Origin::Program(program),
        }
    }

    /// A graph that the function `build` builds. The function is called only if the graph has to be
    /// built.
    pub fn built_by<F>(builder: BuilderId, build: F) -> Self
    where
        F: Fn() -> Result<Program, BuildError> + Send + Sync + 'static,
    {
        Self {
            stage: Self::DEFAULT_STAGE.to_owned(),
            builder,
            projection: Projection::exact(),
            options: CompileOptions::default(),
            padding: None,
            origin: Origin::Builder(Arc::new(build)),
        }
    }

    /// Sets the name of the stage, such as `denoiser`.
    #[must_use]
    pub fn stage(mut self, stage: impl Into<String>) -> Self {
        self.stage = stage.into();
        self
    }

    /// Declares which parts of a signature shape this graph. Without a declaration, all of them do.
    #[must_use]
    pub fn projection(mut self, projection: Projection) -> Self {
        self.projection = projection;
        self
    }

    /// Sets the compile options.
    #[must_use]
    pub fn options(mut self, options: CompileOptions) -> Self {
        self.options = options;
        self
    }

    /// Declares that a graph of a larger shape may serve in place of this one, and which dimensions
    /// of its inputs and outputs grow with the shape.
    /// [`Runtime::get_or_snap`](crate::Runtime::get_or_snap) then pads and crops. The graph must be
    /// given as a builder, with a projection that keeps the shape.
    #[must_use]
    pub fn padding(mut self, padding: Padding) -> Self {
        self.padding = Some(padding);
        self
    }

    /// The name of the stage; `program` if there is no model.
    pub fn stage_name(&self) -> &str {
        &self.stage
    }

    pub(crate) fn builder_id(&self) -> &BuilderId {
        &self.builder
    }

    /// The parts of the signature that shape this graph, as its builder declared them.
    pub fn declared_projection(&self) -> &Projection {
        &self.projection
    }

    pub(crate) fn compile_options(&self) -> &CompileOptions {
        &self.options
    }

    pub(crate) fn declared_padding(&self) -> Option<&Padding> {
        self.padding.as_ref()
    }

    /// A copy of this graph that is only looked up: building it always fails.
    pub(crate) fn never_built(&self) -> Self {
        let refuse = || Err("it is only looked up".into());
        Self { origin: Origin::Builder(Arc::new(refuse)), ..self.clone() }
    }

    /// The program, if it is at hand, so that a look-up by its key does not have to build it.
    pub(crate) fn program_at_hand(&self) -> Option<&Program> {
        match &self.origin {
            Origin::Program(program) => Some(program),
            Origin::Builder(_) => None,
        }
    }

    pub(crate) fn build(&self) -> Result<Program, BuildError> {
        match &self.origin {
            Origin::Program(program) => Ok(program.clone()),
            Origin::Builder(build) => build(),
        }
    }
}

/// The compile options for a program, with the numbers of replicas and partitions that it declares.
/// A program that cannot be read gets the default options here; a request for it is refused.
fn options_for(program: &Program) -> CompileOptions {
    let Ok(wanted) = program.requirements() else { return CompileOptions::default() };
    CompileOptions {
        num_replicas: wanted.replicas,
        num_partitions: wanted.partitions,
        use_spmd_partitioning: wanted.partitions > 1,
        ..CompileOptions::default()
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph")
            .field("stage", &self.stage)
            .field("builder", &self.builder)
            .finish_non_exhaustive()
    }
}

/// Anything that [`Runtime::get_or_compile`](crate::Runtime::get_or_compile) accepts as a graph.
pub trait AsGraph {
    /// Returns the graph; a value that is already a graph is borrowed.
    ///
    /// # Errors
    /// If the value cannot be turned into a graph.
    fn as_graph(&self) -> Result<Cow<'_, Graph>, BuildError>;
}

impl AsGraph for Graph {
    fn as_graph(&self) -> Result<Cow<'_, Graph>, BuildError> {
        Ok(Cow::Borrowed(self))
    }
}

impl AsGraph for Program {
    fn as_graph(&self) -> Result<Cow<'_, Graph>, BuildError> {
        Ok(Cow::Owned(Graph::from_program(self.clone())))
    }
}
