//! Do operations in any order, over several handles, have the same results as on a map in memory?

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const GRAPHS: u64 = 6;
const HANDLES: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Put { number: u64, form: u64 },
    Use { number: u64 },
    Remove { number: u64 },
    Pin { number: u64, pinned: bool },
    PinRequest { number: u64, pinned: bool },
    Damage { number: u64 },
    LoseIndex,
    Clear,
    Verify,
    Prune { keep: usize },
    MoveAndBack,
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let number = 0..GRAPHS;
    let step = prop_oneof![
        6 => (number.clone(), 0..3_u64).prop_map(|(number, form)| Step::Put { number, form }),
        4 => number.clone().prop_map(|number| Step::Use { number }),
        2 => number.clone().prop_map(|number| Step::Remove { number }),
        2 => (number.clone(), any::<bool>()).prop_map(|(number, pinned)| Step::Pin { number, pinned }),
        2 => (number.clone(), any::<bool>()).prop_map(|(number, pinned)| Step::PinRequest { number, pinned }),
        2 => number.prop_map(|number| Step::Damage { number }),
        1 => Just(Step::LoseIndex),
        1 => Just(Step::Clear),
        1 => Just(Step::Verify),
        1 => (0..4_usize).prop_map(|keep| Step::Prune { keep }),
        1 => Just(Step::MoveAndBack),
    ];
    prop::collection::vec((0..HANDLES, step), 1..25)
}

/// The expected content of a store: the form of each graph's object, if it is sound, and what the
/// index records about each graph.
#[derive(Debug, Default, Clone)]
struct Model {
    objects: BTreeMap<u64, u64>,
    damaged: BTreeSet<u64>,
    records: BTreeMap<u64, (u64, bool)>,
    /// The pinned requests. `kept` has the graphs that these requests pin, until the graph itself
    /// is unpinned.
    requests: BTreeSet<u64>,
    kept: BTreeSet<u64>,
    hits: u64,
}

impl Model {
    fn is_pinned(&self, number: u64) -> bool {
        self.records.get(&number).is_some_and(|(_, pinned)| *pinned) || self.kept.contains(&number)
    }

    /// Records that the graph's request led to the graph.
    fn led_to(&mut self, number: u64) {
        if self.requests.contains(&number) {
            self.kept.insert(number);
        }
    }

    fn forget(&mut self, number: u64) {
        self.objects.remove(&number);
        self.damaged.remove(&number);
        self.records.remove(&number);
        self.kept.remove(&number);
    }

    /// If the index is lost, the recorded uses and the records without a sound object are lost with
    /// it.
    fn lose_index(&mut self) {
        self.records = self.objects.keys().map(|number| (*number, (0, false))).collect();
        self.requests.clear();
        self.kept.clear();
        self.hits = 0;
    }
}

fn number_key(number: u64) -> GraphKey {
    graph(number).0.graph_key
}

/// Does one step with the store and with the model.
#[expect(clippy::too_many_lines, reason = "one arm for each kind of step")]
fn step(scratch: &Scratch, store: &Store, model: &mut Model, step: &Step) {
    match *step {
        Step::Put { number, form } => {
            let (record, program) = graph(number);
            store.put(&record, &program, &payload(100 * (form + 1) + number)).unwrap();
            model.objects.insert(number, form);
            model.damaged.remove(&number);
            model.records.entry(number).or_insert((0, false));
            model.led_to(number);
        }
        Step::Use { number } => {
            store.commit(&[hit(number_key(number))], &Counters::default()).unwrap();
            model.hits += 1;
            if let Some((hits, _)) = model.records.get_mut(&number) {
                *hits += 1;
                model.led_to(number);
            }
        }
        Step::Remove { number } => {
            let there = model.records.contains_key(&number) || model.objects.contains_key(&number);
            let removal = store.remove(&number_key(number)).unwrap();
            assert_eq!(
                matches!(removal, Removal::Removed { .. }),
                there || model.damaged.contains(&number)
            );
            model.forget(number);
        }
        Step::Pin { number, pinned } => {
            let known = store.set_pinned(&number_key(number), pinned).unwrap();
            assert_eq!(known, model.records.contains_key(&number));
            if let Some((_, known)) = model.records.get_mut(&number) {
                *known = pinned;
            }
            if !pinned {
                model.kept.remove(&number);
            }
        }
        Step::PinRequest { number, pinned } => {
            let graphs = store.set_signature_pinned(&request(number).digest(), pinned).unwrap();
            assert_eq!(graphs, u64::from(model.records.contains_key(&number)));
            if pinned {
                model.requests.insert(number);
                if model.records.contains_key(&number) {
                    model.led_to(number);
                }
            } else {
                model.requests.remove(&number);
                model.kept.remove(&number);
            }
        }
        Step::Damage { number } => {
            let path = store.layout().object(&number_key(number));
            if model.objects.remove(&number).is_some() {
                fs::write(path, "damaged").unwrap();
                model.damaged.insert(number);
            }
        }
        Step::LoseIndex => {
            let _ = fs::remove_dir_all(store.layout().graphs());
            // The first caller that needs the index builds a new one. During this, damaged objects
            // are moved to quarantine.
            if store.layout().format().exists() {
                store.records().unwrap();
                model.damaged.clear();
            }
            model.lose_index();
        }
        Step::Clear => {
            store.clear().unwrap();
            let requests = std::mem::take(&mut model.requests);
            *model = Model { requests, hits: model.hits, ..Model::default() };
        }
        Step::Verify => {
            let verified = store.verify(true, |_| true).unwrap();
            assert!(!verified.is_damaged(), "{:#?}", verified.findings);
            model.damaged.clear();
            assert_eq!(store.verify(false, |_| true).unwrap().findings, []);
        }
        Step::Prune { keep } => {
            let records = store.records().unwrap();
            let sizes =
                records.iter().filter_map(|record| Some(record.object.as_ref()?.stored_bytes));
            let max_bytes = sizes.max().unwrap_or(0) * keep as u64;
            let pruned =
                store.prune(&Prune { max_bytes: Some(max_bytes), ..Prune::default() }).unwrap();
            for one in &pruned.entries {
                let number =
                    (0..GRAPHS).find(|number| number_key(*number) == one.graph_key).unwrap();
                assert!(!model.is_pinned(number), "{number} was pinned");
                model.forget(number);
            }
        }
        Step::MoveAndBack => {
            let mut file = Vec::new();
            let exported = store.export(&mut file, |_| true, |_| true).unwrap();
            assert_eq!(exported.objects, model.objects.len() as u64);
            let imported = open(&scratch.folder.path().join("elsewhere"))
                .unwrap()
                .import(file.as_slice(), |_| true)
                .unwrap();
            assert_eq!(imported.refused, []);
            assert_eq!(imported.added + imported.kept, model.objects.len() as u64);
        }
    }
}

/// Compares every answer of the store with the model's.
fn compare(store: &Store, model: &mut Model) {
    let records: BTreeMap<GraphKey, GraphRecord> =
        store.records().unwrap().into_iter().map(|record| (record.graph_key, record)).collect();
    for number in 0..GRAPHS {
        let key = number_key(number);
        let record = records.get(&key);
        let known = model.records.get(&number);
        assert_eq!(
            record.map(|record| record.statistics.hits),
            known.map(|(hits, _)| *hits),
            "{number}"
        );
        if let Some(record) = record {
            assert_eq!(record.pinned, model.is_pinned(number), "{number}");
            assert_eq!(store.program(&key).unwrap(), Some(graph(number).1));
        }
        match store.load(&key).unwrap() {
            ObjectLookup::Hit(object) => {
                assert_eq!(object.payload, payload(100 * (model.objects[&number] + 1) + number));
            }
            ObjectLookup::Absent => {
                assert!(
                    !model.objects.contains_key(&number) && !model.damaged.contains(&number),
                    "{number}"
                );
            }
            ObjectLookup::Damaged { .. } => assert!(model.damaged.remove(&number), "{number}"),
        }
        let stage = [(signature(number).projection_key, request(number).digest())];
        let resolved = store.resolve(&stage).unwrap().remove(0).map(|resolved| resolved.graph_key);
        assert_eq!(resolved, known.map(|_| key), "{number}");
    }
    let statistics = store.statistics().unwrap();
    // What was found damaged above is in quarantine now, and its entry has no object any more.
    let records: BTreeMap<GraphKey, GraphRecord> =
        store.records().unwrap().into_iter().map(|record| (record.graph_key, record)).collect();
    let with_object = records.values().filter(|record| record.object.is_some()).count();
    assert_eq!(
        (statistics.entries, statistics.stages.hits.exact),
        (with_object as u64, model.hits)
    );
    assert_eq!(statistics.cached_signatures, model.records.len() as u64);
    let stored_bytes: u64 =
        records.values().filter_map(|record| Some(record.object.as_ref()?.stored_bytes)).sum();
    assert_eq!(statistics.stored_bytes, stored_bytes);
    let order: BTreeSet<GraphKey> = store.records_and_order(false).unwrap().1.into_iter().collect();
    let may_go =
        records.values().filter(|record| !record.pinned).map(|record| record.graph_key).collect();
    assert_eq!(order, may_go);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn operations_in_any_order_over_several_handles_do_what_they_do_to_a_map(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let scratch = Scratch { store: open(&folder.path().join("store")).unwrap(), folder };
        let handles: Vec<Store> = (0..HANDLES).map(|_| open(scratch.store.dir()).unwrap()).collect();
        let mut model = Model::default();
        for (handle, one) in &steps {
            step(&scratch, &handles[*handle], &mut model, one);
        }
        compare(&handles[0], &mut model);
    }
}
