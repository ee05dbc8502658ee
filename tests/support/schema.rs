//! Does a document match a JSON schema? This file checks the keywords that docs/schema uses. It
//! panics at any other keyword, so that no keyword seems to be checked although it is not.
//!
//! The check is stricter than the standard in one point: a property that a schema does not list is
//! an error, unless the schema has `additionalProperties`. So a new name in the output has to be
//! added to the schema.

use serde_json::Value;

/// The schema of docs/schema.
pub fn schema() -> Value {
    let text = std::fs::read_to_string(super::repository("docs/schema/preheat.schema.json"));
    serde_json::from_str(&text.unwrap()).unwrap()
}

/// Asserts that a document matches `$defs/NAME` of the schema.
#[track_caller]
pub fn assert_matches(name: &str, document: &Value) {
    let found = differences(&schema(), name, document);
    assert!(found.is_empty(), "{name}: {found:#?}");
}

/// Where the document differs from `$defs/NAME` of the schema; empty if it matches.
pub fn differences(schema: &Value, name: &str, document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let start = &schema["$defs"][name];
    assert!(start.is_object(), "the schema has no document {name}");
    check(schema, start, document, name, &mut found);
    found
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let keywords = schema.as_object().unwrap_or_else(|| panic!("{at}: {schema} is no schema"));
    for (keyword, wanted) in keywords {
        let fits = match keyword.as_str() {
            "description" => true,
            "$ref" => {
                let name = wanted.as_str().and_then(|name| name.strip_prefix("#/$defs/")).unwrap();
                check(root, &root["$defs"][name], value, at, found);
                true
            }
            "type" => match wanted {
                Value::Array(types) => types.iter().any(|one| is_of(value, one)),
                one => is_of(value, one),
            },
            "const" => value == wanted,
            "enum" => wanted.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|number| number >= wanted.as_f64().unwrap()),
            "pattern" => value.as_str().is_none_or(|text| is_digest(text, wanted)),
            "minItems" => value.as_array().is_none_or(|all| all.len() >= number(wanted)),
            "maxItems" => value.as_array().is_none_or(|all| all.len() <= number(wanted)),
            "items" => {
                for (index, one) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, wanted, one, &format!("{at}[{index}]"), found);
                }
                true
            }
            "required" => {
                for name in wanted.as_array().unwrap().iter().filter_map(Value::as_str) {
                    if value.as_object().is_some_and(|object| !object.contains_key(name)) {
                        found.push(format!("{at}.{name} is missing"));
                    }
                }
                true
            }
            "properties" => {
                for (name, one) in value.as_object().into_iter().flatten() {
                    match (wanted.get(name), schema.get("additionalProperties")) {
                        (Some(schema), _) => {
                            check(root, schema, one, &format!("{at}.{name}"), found);
                        }
                        (None, Some(_)) => {}
                        (None, None) => found.push(format!("{at}.{name} is not in the schema")),
                    }
                }
                true
            }
            "additionalProperties" => {
                let listed = schema.get("properties");
                for (name, one) in value.as_object().into_iter().flatten() {
                    if listed.is_none_or(|listed| listed.get(name).is_none()) {
                        check(root, wanted, one, &format!("{at}.{name}"), found);
                    }
                }
                true
            }
            "anyOf" => {
                let mut of_each = wanted.as_array().unwrap().iter().map(|one| {
                    let mut own = Vec::new();
                    check(root, one, value, at, &mut own);
                    own
                });
                // If no alternative fits, the differences from the last one are reported, because
                // it is the longest.
                let last = of_each
                    .by_ref()
                    .try_fold(Vec::new(), |_, own| if own.is_empty() { Err(()) } else { Ok(own) });
                found.extend(last.unwrap_or_default());
                true
            }
            other => panic!("{at}: the keyword `{other}` is not checked here"),
        };
        if !fits {
            found.push(format!("{at} is {value}, and {keyword} is {wanted}"));
        }
    }
}

fn is_of(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    }
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

/// Whether a text is a digest. The schema has no pattern for anything else.
fn is_digest(text: &str, pattern: &Value) -> bool {
    assert_eq!(pattern, "^[0-9a-f]{64}$");
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
