//! How is a miss explained to a person?

use preheat_cache::Difference;
use preheat_runtime::StageLookup;

/// Says why each stage misses: names the nearest entry, with one line for each field in which that
/// entry differs.
pub(super) fn explain(stages: &[StageLookup]) -> Vec<String> {
    let mut lines = Vec::new();
    for (stage, nearest) in stages.iter().filter_map(|stage| Some((stage, stage.nearest.as_ref()?)))
    {
        let (what, short) =
            (format!("{}, {}", stage.model_id, stage.stage), nearest.graph_key.short());
        if nearest.differences.is_empty() {
            lines.push(format!(
                "{what}: graph {short} was compiled before, and its executable is gone (removed or damaged)"
            ));
            continue;
        }
        lines.push(format!("{what}: the nearest entry is graph {short}, which differs in"));
        let shown =
            |value: &str| if value.is_empty() { "(none)".to_owned() } else { value.to_owned() };
        for Difference { field, have, want, .. } in &nearest.differences {
            lines.push(format!("  {field}: have {}, want {}", shown(have), shown(want)));
        }
    }
    lines
}
