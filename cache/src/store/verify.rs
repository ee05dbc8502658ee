//! Is everything in a store still intact, and which damage can be repaired?

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::index::check::{Checked, check, recount, store_without_object};
use super::index::entries::{
    TakeOver, insert, load_record, load_statistics, remove, store_statistics,
};
use super::index::transaction::{Fault, Transaction};
use super::sweep::{is_abandoned, remove_if_abandoned};
use super::{IndexCause, Store, StoreError, key_of_name};
use crate::files::{Folder, is_absent};
use crate::hash::Digest;
use crate::key::GraphKey;
use crate::object::{self, HELD_PROGRAM_BYTES};
use crate::record::ObjectInfo;

/// The progress of verifying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verifying {
    /// Objects that were checked so far.
    pub checked: u64,
    /// Objects in all.
    pub objects: u64,
    /// Bytes of the intact objects that were read so far.
    pub read_bytes: u64,
}

/// The kinds of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// An object fails a check. Repair puts it into quarantine.
    DamagedObject,
    /// A file among the objects that is not an object, or that lies at a place where the store
    /// looks for no object. Repair moves it to quarantine.
    StrayFile,
    /// The index cannot be read, or is missing. Repair builds a new one from the objects.
    DamagedIndex,
    /// The program of a record is missing, or is not the one that the record names. Repair takes
    /// the program from the object. If the object is gone, too, repair removes the record.
    DamagedProgram,
    /// The totals or the order of eviction do not match the records. Repair computes both anew.
    WrongTotals,
    /// An object cannot be read, because of an error of the system or because another release wrote
    /// it. It stays.
    UnreadableObject,
    /// A record describes another object: the object was replaced, and the process died before it
    /// recorded that. Repair takes the record from the object.
    RecordDiffers,
    /// An object without a record in the index: the process that wrote it died before it recorded
    /// the object. The next use records it, and so does repair.
    ObjectWithoutRecord,
    /// A record whose object is gone: the process that removed the object died before it removed
    /// the record, or the object went to quarantine. The entry counts as a miss. Repair notes in
    /// the record that it has no object.
    RecordWithoutObject,
    /// A file that a process was writing, or a lock that it held, when it died. The first write of
    /// the next process removes it, and so does repair.
    LeftOver,
}

impl FindingKind {
    /// Whether this is damage. The other kinds can be left by a dead process, and normal use
    /// corrects them.
    pub fn is_damage(self) -> bool {
        self <= Self::WrongTotals
    }
}

/// One problem that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The kind of the problem.
    pub kind: FindingKind,
    /// The entry that has the problem, if the problem belongs to one entry.
    pub graph_key: Option<GraphKey>,
    /// The file or folder that has the problem.
    pub path: PathBuf,
    /// The problem, as text.
    pub reason: String,
    /// Whether it was repaired.
    pub repaired: bool,
}

/// The results of verifying.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Objects that were checked.
    pub objects: u64,
    /// The bytes of those objects that are intact.
    pub object_bytes: u64,
    /// Records that were checked. It is 0 in a store that is opened for reading only, since its
    /// index cannot be opened.
    pub records: u64,
    /// The problems.
    pub findings: Vec<Finding>,
    /// Whether the caller stopped the verification before its end.
    pub cancelled: bool,
}

impl VerifyReport {
    /// Whether there is damage that was not repaired.
    pub fn is_damaged(&self) -> bool {
        self.findings.iter().any(|finding| finding.kind.is_damage() && !finding.repaired)
    }
}

impl Store {
    /// Checks each object as a whole, looks for stray files and for files that dead processes left,
    /// and compares the index with the objects. With `repair`, repairs what can be repaired.
    ///
    /// `progress` is called after each object, and stops the work by returning `false`.
    pub fn verify(
        &self,
        repair: bool,
        mut progress: impl FnMut(Verifying) -> bool,
    ) -> Result<VerifyReport, StoreError> {
        if repair {
            self.writable()?;
        }
        let mut verified = VerifyReport::default();
        let Some(root) = self.root()? else { return Ok(verified) };
        self.find_left_overs(&root, repair, &mut verified);
        let keys = self.find_strays(&root, repair, &mut verified)?;
        let mut infos = BTreeMap::new();
        for (at, key) in keys.iter().enumerate() {
            infos.extend(self.check_object(key, repair, &mut verified).map(|info| (*key, info)));
            let (checked, objects) = (at as u64 + 1, keys.len() as u64);
            if !progress(Verifying { checked, objects, read_bytes: verified.object_bytes }) {
                verified.cancelled = true;
                return Ok(verified);
            }
        }
        if !self.read_only && root.is_file(&self.layout.format()) {
            self.check_index(&root, &infos, repair, &mut verified)?;
            if repair {
                self.tidy_index()?;
            }
        }
        Ok(verified)
    }

    /// Finds files in `tmp/` and `locks/` whose locks nobody holds.
    fn find_left_overs(&self, root: &Folder, repair: bool, verified: &mut VerifyReport) {
        for path in self.left_overs(root).into_iter().filter(|path| is_abandoned(root, path)) {
            let repaired = repair && remove_if_abandoned(root, &path).unwrap_or(false);
            let (path, reason) = (root.full(&path), "the process that made it is gone".to_owned());
            let (kind, graph_key) = (FindingKind::LeftOver, None);
            verified.findings.push(Finding { kind, graph_key, path, reason, repaired });
        }
    }

    /// Returns the keys of all objects. Any other file among the objects becomes a finding.
    fn find_strays(
        &self,
        root: &Arc<Folder>,
        repair: bool,
        verified: &mut VerifyReport,
    ) -> Result<Vec<GraphKey>, StoreError> {
        let mut keys = Vec::new();
        let mut folders = vec![self.layout.objects()];
        while let Some(folder) = folders.pop() {
            for path in self.entries(&folder)? {
                let depth = path
                    .strip_prefix(self.layout.objects())
                    .map_or(0, |path| path.components().count());
                let key = path.file_name().and_then(key_of_name);
                match key {
                    Some(key) if self.layout.object(&key) == path && root.is_file(&path) => {
                        keys.push(key);
                    }
                    _ if root.is_folder(&path) && depth < 3 => folders.push(path),
                    // The file was evicted or cleared after the folder was listed.
                    _ if root.look(&path).is_err_and(|error| is_absent(&error)) => {}
                    _ => {
                        let set_aside =
                            || self.set_aside(root, &path, "stray", "no object belongs here");
                        let repaired = repair && set_aside().is_ok();
                        let (kind, reason) =
                            (FindingKind::StrayFile, "no object belongs here".to_owned());
                        let path = root.full(&path);
                        verified.findings.push(Finding {
                            kind,
                            graph_key: key,
                            path,
                            reason,
                            repaired,
                        });
                    }
                }
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }

    /// Checks an object as a whole. If it is sound, returns what its record states about it.
    fn check_object(
        &self,
        key: &GraphKey,
        repair: bool,
        verified: &mut VerifyReport,
    ) -> Option<ObjectInfo> {
        let path = self.layout().object(key);
        let mut file = match self.open_file(&self.layout.object(key)) {
            Ok(Some((_, file))) => file,
            // The object was evicted meanwhile.
            Ok(None) => return None,
            Err(error) => {
                let (kind, graph_key, reason) =
                    (FindingKind::UnreadableObject, Some(*key), error.to_string());
                verified.findings.push(Finding { kind, graph_key, path, reason, repaired: false });
                return None;
            }
        };
        verified.objects += 1;
        match object::verify(&mut file, key) {
            Ok((_, _, info)) => {
                verified.object_bytes += info.stored_bytes;
                Some(info)
            }
            Err(cause) => {
                let damage = cause.is_damage();
                let repaired = repair && damage && self.quarantine(key, &file, &cause);
                let kind =
                    if damage { FindingKind::DamagedObject } else { FindingKind::UnreadableObject };
                let (graph_key, reason) = (Some(*key), cause.to_string());
                verified.findings.push(Finding { kind, graph_key, path, reason, repaired });
                None
            }
        }
    }

    /// Checks the index by itself and against the objects.
    fn check_index(
        &self,
        root: &Folder,
        infos: &BTreeMap<GraphKey, ObjectInfo>,
        repair: bool,
        verified: &mut VerifyReport,
    ) -> Result<(), StoreError> {
        let path = root.full(&self.layout.graphs());
        let damaged = |reason: String, repaired| {
            let kind = FindingKind::DamagedIndex;
            Finding { kind, graph_key: None, path: path.clone(), reason, repaired }
        };
        if !root.is_folder(&self.layout.graphs()) && !infos.is_empty() {
            verified.findings.push(damaged("it is not there".to_owned(), repair));
            if repair {
                self.rebuild_index()?;
            }
            return Ok(());
        }
        let look = || {
            let sound = self.sound_programs()?;
            self.inspect(|index| self.compare(index, infos, &sound, repair))
        };
        let (records, findings) = match look() {
            Err(StoreError::IndexUnavailable { cause: IndexCause::Damaged(reason), .. }) => {
                verified.findings.push(damaged(reason, repair));
                if !repair {
                    return Ok(());
                }
                self.remake_index()?;
                // The index was built from sound objects, so this check finds only problems that
                // could not be solved from the objects.
                look()?
            }
            other => other?,
        };
        verified.records = records;
        verified.findings.extend(findings);
        Ok(())
    }

    /// Compares the index with the objects. This process holds the index during the comparison, so
    /// no other process changes the index or evicts an object. `sound` has the programs that were
    /// already checked.
    fn compare(
        &self,
        index: &mut Transaction,
        infos: &BTreeMap<GraphKey, ObjectInfo>,
        sound: &BTreeSet<Digest>,
        repair: bool,
    ) -> Result<(u64, Vec<Finding>), Fault> {
        use FindingKind::{
            DamagedProgram, ObjectWithoutRecord, RecordDiffers, RecordWithoutObject, WrongTotals,
        };
        let Checked { records, wrong_programs, programs_elsewhere, wrong_totals } =
            check(index, sound)?;
        let layout = self.layout();
        let graphs = layout.graphs();
        let mut findings = Vec::new();
        let mut find = |kind, graph_key, path: PathBuf, reason: &str| {
            findings.push(Finding {
                kind,
                graph_key,
                path,
                reason: reason.to_owned(),
                repaired: false,
            });
        };
        for (key, noted) in &records {
            let (place, there) = (layout.object(key), self.has_object(key));
            let differs = |found: &ObjectInfo| noted.as_ref() != Some(found);
            let wrong_program = wrong_programs.contains(key);
            if !there && (wrong_program || programs_elsewhere.contains(key)) {
                find(
                    DamagedProgram,
                    Some(*key),
                    graphs.clone(),
                    "neither its program nor its object is left",
                );
            } else if noted.is_some() && !there {
                find(RecordWithoutObject, Some(*key), place, "its object is gone");
            } else if infos.get(key).is_some_and(differs)
                // The object may have been replaced after it was read.
                && self.object_record(key).ok().flatten().and_then(|record| record.object).as_ref().is_some_and(differs)
            {
                find(RecordDiffers, Some(*key), place, "its record describes another object");
            } else if wrong_program {
                find(
                    DamagedProgram,
                    Some(*key),
                    graphs.clone(),
                    "its program is missing, or is not the program that the record names",
                );
            }
        }
        for key in infos.keys().filter(|key| !records.contains_key(key)) {
            if self.has_object(key) && load_record(index, key)?.is_none() {
                find(
                    ObjectWithoutRecord,
                    Some(*key),
                    layout.object(key),
                    "the index does not know it",
                );
            }
        }
        if wrong_totals {
            find(
                WrongTotals,
                None,
                graphs,
                "the totals or the order of eviction do not match the records",
            );
        }
        if repair {
            for finding in &mut findings {
                finding.repaired = self.repair_record(index, finding)?;
            }
            recount(index)?;
        }
        Ok((records.len() as u64, findings))
    }

    /// Repairs a problem in the index. Returns whether it is repaired now.
    fn repair_record(&self, index: &mut Transaction, finding: &Finding) -> Result<bool, Fault> {
        // A finding that belongs to no graph is about totals, which are always counted again.
        let Some(key) = finding.graph_key else { return Ok(true) };
        if finding.kind == FindingKind::RecordWithoutObject {
            store_without_object(index, &key)?;
            return Ok(true);
        }
        match self.object_program(&key) {
            Ok(Some((record, program))) => {
                insert(index, &record, program.as_ref(), TakeOver::FromOlder)?;
                Ok(program.is_some() || record.program.bytes > HELD_PROGRAM_BYTES)
            }
            // Nothing can be compiled from this record, and nothing can be loaded.
            Ok(None) if finding.kind == FindingKind::DamagedProgram => {
                let mut statistics = load_statistics(index)?;
                remove(index, &key, &mut statistics)?;
                store_statistics(index, &statistics)?;
                Ok(true)
            }
            Ok(None) | Err(_) => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests;
