//! Which stored entry is most like a missing one, and how long is the missing entry's compile
//! expected to take?

use super::{Store, StoreError};
use crate::environment::{Difference, Environment};
use crate::hash::Digest;
use crate::options::CompileOptions;
use crate::record::GraphRecord;
use crate::signature::{Projection, Signature};

/// The entry that is wanted.
#[derive(Debug, Clone, Copy)]
pub struct WantedEntry<'a> {
    /// The program's digest, if the graph was lowered.
    pub program: Option<Digest>,
    /// The stage.
    pub stage: &'a str,
    /// The request, if there is one.
    pub signature: Option<&'a Signature>,
    /// Which fields of the request shape the graph ([`Signature::differences_of_graph`]). With
    /// `None`, each field that differs is a difference.
    pub projection: Option<&'a Projection>,
    /// The compiler and the hardware for which it would be compiled.
    pub environment: &'a Environment,
    /// How it would be compiled.
    pub options: &'a CompileOptions,
}

/// The entry that is most like the wanted one.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NearestRecord {
    /// Its record.
    pub record: GraphRecord,
    /// Each field in which it differs; empty if it is the wanted entry itself.
    pub differences: Vec<Difference>,
    /// How long the entry took to compile, as a prediction for the wanted entry. Both entries are
    /// for the same platform, and have the same program or are the same stage of the same model.
    /// `None` for any other entry, and if no compile time is known.
    pub expected_compile_seconds: Option<f64>,
}

impl Store {
    /// The entry that is most like `wanted`. An entry with the same program is preferred, then an
    /// entry of the same stage for the same platform, then an entry of the same stage for another
    /// platform. Within the first kind, the same platform is preferred, and within the others the
    /// same model. Among equally similar entries, the one with the fewest differences is chosen,
    /// then the most recently used one.
    ///
    /// However many entries there are, only about a hundred are compared: a few dozen for each kind
    /// of similarity.
    pub fn nearest(&self, wanted: &WantedEntry<'_>) -> Result<Option<NearestRecord>, StoreError> {
        let ranked = self.candidates(wanted)?.into_iter().filter_map(|record| {
            let likeness = Likeness::of(&record, wanted)?;
            let differences = differences(&record, wanted);
            let last_used = record.statistics.last_used.unwrap_or(record.created);
            let rank = (likeness, std::cmp::Reverse(differences.len()), last_used);
            let seconds =
                Some(record.measurements.compile_seconds).filter(|seconds| *seconds > 0.0);
            let expected_compile_seconds = seconds.filter(|_| likeness.tells_what_to_expect());
            Some((rank, NearestRecord { record, differences, expected_compile_seconds }))
        });
        Ok(ranked.max_by(|one, other| one.0.cmp(&other.0)).map(|(_, nearest)| nearest))
    }
}

/// How similar a record is to the wanted entry. Later variants are more similar.
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
    /// Whether the record's compile time tells how long the wanted entry's compile will take. Only
    /// a compile for the same platform does.
    fn tells_what_to_expect(self) -> bool {
        matches!(self, Self::StageOfModelOnPlatform | Self::ProgramOnPlatform)
    }

    fn of(record: &GraphRecord, wanted: &WantedEntry<'_>) -> Option<Self> {
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

fn differences(record: &GraphRecord, wanted: &WantedEntry<'_>) -> Vec<Difference> {
    let mut all = Vec::new();
    if let Some(digest) = &wanted.program {
        all.extend(Difference::between("program", &record.program.digest, digest, Digest::short));
    }
    if let Some(signature) = wanted.signature {
        let each = record.signatures.iter().map(|one| match wanted.projection {
            Some(projection) => one.signature.differences_of_graph(signature, projection),
            None => one.signature.differences(signature),
        });
        all.extend(each.min_by_key(Vec::len).unwrap_or_default());
    }
    all.extend(record.options.differences(wanted.options));
    all.extend(record.environment.differences(wanted.environment));
    all
}
