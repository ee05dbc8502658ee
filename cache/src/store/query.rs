//! Questions about what the store holds: the nearest entry to one that is missing, and what a
//! compile is expected to take.

use super::{Store, StoreError};
use crate::environment::{Difference, Environment};
use crate::hash::Digest;
use crate::options::CompileOptions;
use crate::record::GraphRecord;
use crate::signature::Signature;

/// What was looked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The program's digest, where the graph was lowered.
    pub program: Option<Digest>,
    /// The stage.
    pub stage: &'a str,
    /// The request, where there is one.
    pub signature: Option<&'a Signature>,
    /// What it would be compiled with and for.
    pub environment: &'a Environment,
    /// How it would be compiled.
    pub options: &'a CompileOptions,
}

/// The entry that is most like what was looked for.
#[derive(Debug, Clone)]
pub struct Nearest {
    /// Its record.
    pub record: GraphRecord,
    /// Each field in which it differs; empty where it is the thing itself.
    pub differences: Vec<Difference>,
    /// What compiling it took, where that tells what to expect: it is of the same platform, and has
    /// the same program or is the same stage of the same model.
    pub expected_compile_seconds: Option<f64>,
}

impl Store {
    /// The entry that is most like `wanted`: the same program before the same stage of the same
    /// platform, of the same model if there is one, before that of another platform; among equals,
    /// the one with the fewest differences, then the one used last.
    ///
    /// However many entries there are, a hundred or so are compared: of each of the ways to be like
    /// it, the newest.
    pub fn nearest(&self, wanted: &Wanted<'_>) -> Result<Option<Nearest>, StoreError> {
        let ranked = self.candidates(wanted)?.into_iter().filter_map(|record| {
            let likeness = Likeness::of(&record, wanted)?;
            let differences = differences(&record, wanted);
            let last_used = record.statistics.last_used.unwrap_or(record.created);
            let rank = (likeness, std::cmp::Reverse(differences.len()), last_used);
            let seconds =
                Some(record.measurements.compile_seconds).filter(|seconds| *seconds > 0.0);
            let expected_compile_seconds = seconds.filter(|_| likeness.tells_what_to_expect());
            Some((rank, Nearest { record, differences, expected_compile_seconds }))
        });
        Ok(ranked.max_by(|one, other| one.0.cmp(&other.0)).map(|(_, nearest)| nearest))
    }
}

/// How much a record is like what was wanted; the later, the more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    Stage,
    StageOfModel,
    StageOnPlatform,
    StageOfModelOnPlatform,
    Program,
    ProgramOnPlatform,
}

impl Likeness {
    /// Whether what its compile took is what this one will take: another platform's seconds say
    /// nothing.
    fn tells_what_to_expect(self) -> bool {
        matches!(self, Self::StageOfModelOnPlatform | Self::ProgramOnPlatform)
    }

    fn of(record: &GraphRecord, wanted: &Wanted<'_>) -> Option<Self> {
        let same_program = wanted.program.is_some_and(|digest| digest == record.program.digest);
        let model = wanted.signature.map(|signature| &signature.model_id);
        let same_model = record.signatures.iter().any(|one| Some(&one.signature.model_id) == model);
        let same_platform = record.environment.platform == wanted.environment.platform;
        if !same_program && record.stage != wanted.stage {
            return None;
        }
        Some(match (same_program, same_model, same_platform) {
            (true, _, true) => Self::ProgramOnPlatform,
            (true, _, false) => Self::Program,
            (_, true, true) => Self::StageOfModelOnPlatform,
            (_, true, false) => Self::StageOfModel,
            (_, _, true) => Self::StageOnPlatform,
            _ => Self::Stage,
        })
    }
}

fn differences(record: &GraphRecord, wanted: &Wanted<'_>) -> Vec<Difference> {
    let mut all = Vec::new();
    if let Some(digest) = &wanted.program {
        all.extend(Difference::between("program", &record.program.digest, digest, Digest::short));
    }
    if let Some(signature) = wanted.signature {
        let each = record.signatures.iter().map(|one| one.signature.differences(signature));
        all.extend(each.min_by_key(Vec::len).unwrap_or_default());
    }
    all.extend(record.options.differences(wanted.options));
    all.extend(record.environment.differences(wanted.environment));
    all
}
