//! Which inputs do the fuzzers start from? This program writes them: an object, its record, and an
//! exported file.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use preheat_cache::{
    CompileOptions, Environment, GraphRecord, KeyInputs, Program, ProgramFormat, Store,
    StoreOptions,
};

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(folder.path())).unwrap();
    let inputs = KeyInputs {
        program: Program::new(ProgramFormat::Mlir, b"module @m {}".to_vec()),
        options: CompileOptions::default(),
        environment: Arc::new(Environment { platform: "cpu".into(), ..Environment::default() }),
    };
    let record = GraphRecord::new("main", "xla-cpu", &inputs);
    store.put(&record, &inputs.program, b"machine code").unwrap();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let seed = |target: &str, mode: &[u8], bytes: &[u8]| {
        fs::create_dir_all(corpus.join(target)).unwrap();
        fs::write(
            corpus.join(target).join(format!("seed{}", mode.first().unwrap_or(&0))),
            [mode, bytes].concat(),
        )
        .unwrap();
    };
    let object = fs::read(store.layout().object(&record.graph_key)).unwrap();
    seed("object", &[0], &object);
    seed("object", &[1], &object);
    seed("record", &[], &serde_json::to_vec(&record).unwrap());
    let mut exported = Vec::new();
    store.export(&mut exported, |_| true, |_| true).unwrap();
    seed("import", &[0], &exported);
    seed("import", &[1], &zstd::stream::decode_all(exported.as_slice()).unwrap());
}
