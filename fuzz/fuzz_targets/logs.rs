//! Is each line of a request log read as a request or reported as damaged? And are requests that
//! are appended read back unchanged?
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use preheat_diffusion::evidence::{LogWriter, RequestLog};
use preheat_fuzz::{mutate_json, scratch};

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(scratch);

fuzz_target!(|data: &[u8]| {
    let (path, copy) = (FOLDER.path().join("log.jsonl"), FOLDER.path().join("copy.jsonl"));
    std::fs::write(&path, data).unwrap();
    let log = match RequestLog::read(&path) {
        Ok(log) => log,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let lines =
        data.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
    assert_eq!(log.requests.len() + log.damaged.len() + log.more_damaged, lines);
    let mut writer = LogWriter::open(&copy).unwrap();
    for (_, request) in &log.requests {
        writer.append(request).unwrap();
        let _ = (request.to_request(), request.model_name());
    }
    let again = RequestLog::read(&copy).unwrap();
    std::fs::remove_file(&copy).unwrap();
    assert!(
        again
            .requests
            .iter()
            .map(|(_, request)| request)
            .eq(log.requests.iter().map(|(_, request)| request))
    );
    // A line that was cut short does not damage the line that is appended after it.
    LogWriter::open(&path).unwrap().append(&log.requests[0].1).unwrap();
    assert_eq!(RequestLog::read(&path).unwrap().requests.len(), log.requests.len() + 1);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate_json(0, data, size, max_size, seed)
});
