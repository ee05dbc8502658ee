//! Does a record survive being written and read back? The JSON of a record may come from anyone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use preheat_cache::GraphRecord;

fuzz_target!(|data: &[u8]| {
    let Ok(record) = serde_json::from_slice::<GraphRecord>(data) else { return };
    let written = serde_json::to_vec(&record).unwrap();
    let again: GraphRecord = serde_json::from_slice(&written).unwrap();
    // Values that JSON cannot express are left out the first time; after that, nothing changes.
    assert_eq!(serde_json::to_vec(&again).unwrap(), written);
    let _ = record.answers("main", &again.options, &again.environment.digest());
    let _ = (
        record.options.differences(&again.options),
        record.environment.differences(&again.environment),
    );
});
