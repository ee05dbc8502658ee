//! How is a miss explained to a person?

use preheat_cache::Difference;
use preheat_runtime::StageLookup;

/// Says why each stage misses: first what a person asked for and what is warm instead, then the
/// nearest entry of each stage, with one line for each field in which that entry differs.
/// `prompt_chunks` is 1 if it is not known.
pub(super) fn explain(stages: &[StageLookup], prompt_chunks: u64) -> Vec<String> {
    let mut lines: Vec<String> = summary(stages, prompt_chunks).into_iter().collect();
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

/// What the request and the nearest entry are for a person: `512x64 is not warm; the nearest is
/// 512x512`. `None` if they differ in nothing that a person sets in a request.
fn summary(stages: &[StageLookup], prompt_chunks: u64) -> Option<String> {
    let of_stage = |stage: &StageLookup| {
        let differences = &stage.nearest.as_ref()?.differences;
        // Another program with the same signature is read in another number of chunks.
        let chunks =
            (prompt_chunks > 1).then(|| Named::new(format!("a prompt of {prompt_chunks} chunks")));
        let named: Vec<Named> = differences.iter().filter_map(Named::of).collect();
        Some(if named.is_empty() { chunks.into_iter().collect() } else { named })
    };
    let named = stages.iter().filter_map(of_stage).max_by_key(Vec::len)?;
    let want: Vec<String> = named.iter().map(|one| one.want.clone()).collect();
    let have: Vec<String> = named.iter().filter_map(|one| one.have.clone()).collect();
    let nearest = if have.is_empty() {
        String::new()
    } else {
        format!("; the nearest is {}", have.join(", "))
    };
    (!want.is_empty()).then(|| format!("{} is not warm{nearest}", want.join(", ")))
}

/// A field in a person's words.
struct Named {
    want: String,
    have: Option<String>,
}

impl Named {
    fn new(want: String) -> Self {
        Self { want, have: None }
    }

    fn of(difference: &Difference) -> Option<Self> {
        let Difference { field, have, want, .. } = difference;
        let each: fn(&str) -> Option<String> = match field.as_str() {
            "input_shape" => pixels,
            "batch_size" => |batch| Some(format!("batch {batch}")),
            // The scale is a field of its own only where it changes the graph.
            "cfg_scale" => |scale| {
                let is_guided = scale.parse::<f64>().ok()? > 1.0;
                Some(if is_guided { "with guidance" } else { "without guidance" }.to_owned())
            },
            "dtype" | "model_id" => |value| Some(value.to_owned()),
            _ => return None,
        };
        let (have, want) = (each(have)?, each(want)?);
        (have != want).then_some(Self { want, have: Some(have) })
    }
}

/// The size of a picture whose latents have this shape: `[batch, channels, height/8, width/8]`, as
/// the signature of a diffusion model says it. Another shape is left as it is.
fn pixels(shape: &str) -> Option<String> {
    let dims: Vec<u64> = serde_json::from_str(shape).ok()?;
    Some(match dims[..] {
        [_, 4, height, width] => format!("{}x{}", width.checked_mul(8)?, height.checked_mul(8)?),
        _ => shape.to_owned(),
    })
}
