//! Which entry is most like one that is missing, and how long is its compile expected to take?

use super::{Store, StoreError};
use crate::environment::{Difference, Environment};
use crate::hash::Digest;
use crate::options::CompileOptions;
use crate::record::GraphRecord;
use crate::signature::Signature;

/// The entry that is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The program's digest, where the graph was lowered.
    pub program: Option<Digest>,
    /// The stage.
    pub stage: &'a str,
    /// The request, where there is one.
    pub signature: Option<&'a Signature>,
    /// What it would be compiled with and for what hardware.
    pub environment: &'a Environment,
    /// How it would be compiled.
    pub options: &'a CompileOptions,
}

/// The entry that is most like the wanted one.
#[derive(Debug, Clone)]
pub struct Nearest {
    /// Its record.
    pub record: GraphRecord,
    /// Each field in which it differs; empty if it is the wanted entry itself.
    pub differences: Vec<Difference>,
    /// How long the entry took to compile, if this tells how long the wanted one will take: both
    /// are for the same platform, and they have the same program or are the same stage of the same
    /// model.
    pub expected_compile_seconds: Option<f64>,
}

impl Store {
    /// The entry that is most like `wanted`. One with the same program comes first, then one of the
    /// same stage and platform (of the same model, if there is one), then one of the same stage for
    /// another platform. Among equals, the one with the fewest differences wins, then the one used
    /// last.
    ///
    /// However many entries there are, only about a hundred are compared: the newest ones of each
    /// way to be like `wanted`.
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

/// How like a record is to the wanted entry; later variants are more like it.
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
    /// Whether its compile time tells how long this compile will take: the time on another platform
    /// tells nothing.
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
