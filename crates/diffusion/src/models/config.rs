//! How is a diffusers config read so that no field that shapes the graph is ignored silently?
//!
//! A reader calls a method of [`Fields`] for each field that shapes the graph. preheat ignores a
//! field for which no reader calls a method. If only one value of a field is supported, the reader
//! calls [`Fields::neutral`], so that any other value is an error that names the field (`null`
//! counts as false). Defaults are those of the class that `model_index.json` names: as in
//! diffusers, a config's own `_class_name` is not used.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};

use super::ModelError;

/// The fields of a config file.
#[derive(Debug)]
pub(super) struct Fields {
    path: PathBuf,
    object: Map<String, Json>,
}

impl Fields {
    /// Parses `text`. `path` is the path that messages name.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, ModelError> {
        let object = serde_json::from_str(text).map_err(|error| ModelError::Json {
            path: path.to_owned(),
            line: error.line(),
            column: error.column(),
            why: strip_position(&error.to_string()).to_owned(),
        })?;
        Ok(Self { path: path.to_owned(), object })
    }

    /// The field's value, if the file has the field; `null` is a value.
    pub(super) fn get(&self, field: &str) -> Option<&Json> {
        self.object.get(field)
    }

    /// An error that names a field, its value and the values that are supported.
    pub(super) fn unsupported(&self, field: &str, supported: impl Into<String>) -> ModelError {
        let value = self
            .get(field)
            .map_or_else(|| "missing".to_owned(), |value| shortened(value.to_string()));
        ModelError::Unsupported {
            path: self.path.clone(),
            field: field.to_owned(),
            value,
            supported: supported.into(),
        }
    }

    /// Refuses a field that would give a graph more layers than [`MOST_LAYERS`].
    pub(super) fn bound_layers(&self, field: &str, layers: u64) -> Result<(), ModelError> {
        if layers <= MOST_LAYERS {
            return Ok(());
        }
        Err(self.unsupported(
            field,
            format!("a value that gives at most {MOST_LAYERS} layers in total, and this one gives {layers}"),
        ))
    }

    /// Refuses a list with more blocks than [`MOST_BLOCKS`].
    pub(super) fn bound_blocks(&self, field: &str, blocks: usize) -> Result<(), ModelError> {
        if blocks <= MOST_BLOCKS {
            return Ok(());
        }
        Err(self.unsupported(
            field,
            format!("a list of at most {MOST_BLOCKS} blocks, and these are {blocks}"),
        ))
    }

    fn no_field(&self, field: &str) -> ModelError {
        ModelError::NoField { path: self.path.clone(), field: field.to_owned() }
    }

    /// Checks a field for which only one value is supported, which is also its default. If this
    /// value is false, `null` is accepted, too.
    pub(super) fn neutral(&self, field: &str, neutral: &Json) -> Result<(), ModelError> {
        let Some(value) = self.get(field) else { return Ok(()) };
        let same_number = || matches!((value.as_f64(), neutral.as_f64()), (Some(a), Some(b)) if a.to_bits() == b.to_bits());
        let falsy = value.is_null() && *neutral == Json::Bool(false);
        if value == neutral || same_number() || falsy {
            Ok(())
        } else {
            Err(self.unsupported(field, neutral.to_string()))
        }
    }

    /// Checks several fields, each of which supports only one value.
    pub(super) fn neutrals(&self, neutrals: &[(&str, Json)]) -> Result<(), ModelError> {
        neutrals.iter().try_for_each(|(field, neutral)| self.neutral(field, neutral))
    }

    /// A boolean. `null` is false, as in Python: Stable Diffusion XL writes `null` for
    /// `upcast_attention`.
    pub(super) fn flag(&self, field: &str, default: bool) -> Result<bool, ModelError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        value
            .as_bool()
            .or(value.is_null().then_some(false))
            .ok_or_else(|| self.unsupported(field, "true or false"))
    }

    /// A whole number from 1 to [`LARGEST_COUNT`]; without a default the field must be present.
    pub(super) fn count(&self, field: &str, default: Option<u64>) -> Result<u64, ModelError> {
        match (self.get(field), default) {
            (None, Some(default)) => Ok(default),
            (None, None) => Err(self.no_field(field)),
            (Some(value), _) => count(value).ok_or_else(|| self.unsupported(field, WHOLE)),
        }
    }

    /// A number in the range of float32.
    pub(super) fn number(&self, field: &str, default: f32) -> Result<f32, ModelError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what is too large for f32 becomes infinite and is refused"
        )]
        let number = value.as_f64().map(|number| number as f32).filter(|number| number.is_finite());
        number.ok_or_else(|| self.unsupported(field, "a number in the range of float32"))
    }

    /// One of `supported`; `default` if the field is missing.
    pub(super) fn one_of<'a>(
        &'a self,
        field: &str,
        default: &'a str,
        supported: &[&str],
    ) -> Result<&'a str, ModelError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        let text = value.as_str().filter(|text| supported.contains(text));
        text.ok_or_else(|| self.unsupported(field, supported.join(", ")))
    }

    /// The class that `model_index.json` gives for a component. It must be one of `supported`,
    /// unless that is empty.
    pub(super) fn component(&self, name: &str, supported: &[&str]) -> Result<&str, ModelError> {
        let entry = self.get(name).ok_or_else(|| self.no_field(name))?;
        let class =
            entry.as_array().filter(|entry| entry.len() == 2).and_then(|entry| entry[1].as_str());
        if let Some(class) = class.filter(|class| supported.is_empty() || supported.contains(class))
        {
            return Ok(class);
        }
        let class = if supported.is_empty() {
            "a library and a class".to_owned()
        } else {
            supported.join(", ")
        };
        Err(self.unsupported(name, class))
    }

    /// A list of texts, each of which must be one of `supported`. The list must not be empty.
    pub(super) fn list_of(
        &self,
        field: &str,
        default: &[&str],
        supported: &[&str],
    ) -> Result<Vec<String>, ModelError> {
        let Some(value) = self.get(field) else {
            return Ok(default.iter().map(|&text| text.to_owned()).collect());
        };
        let known =
            |item: &Json| item.as_str().filter(|text| supported.contains(text)).map(str::to_owned);
        let list = value.as_array().and_then(|items| items.iter().map(known).collect());
        list.filter(|list: &Vec<_>| !list.is_empty()).ok_or_else(|| {
            self.unsupported(
                field,
                format!("a list, each item of which is one of {}", supported.join(", ")),
            )
        })
    }

    /// A list of whole numbers from 1 to [`LARGEST_COUNT`], which must not be empty.
    pub(super) fn counts(&self, field: &str, default: &[u64]) -> Result<Vec<u64>, ModelError> {
        let Some(value) = self.get(field) else { return Ok(default.to_vec()) };
        let list: Option<Vec<u64>> =
            value.as_array().and_then(|items| items.iter().map(count).collect());
        list.filter(|list| !list.is_empty()).ok_or_else(|| {
            self.unsupported(field, format!("a list, each item of which is {WHOLE}"))
        })
    }

    /// One whole number from 1 to [`LARGEST_COUNT`] for all of `levels`, or a list with one for
    /// each.
    pub(super) fn count_per_level(
        &self,
        field: &str,
        default: u64,
        levels: usize,
    ) -> Result<Vec<u64>, ModelError> {
        let expected = || format!("{WHOLE}, or a list of {levels} of them");
        self.per_level(field, default, levels, count, expected)
    }

    /// One boolean for all of `levels`, or a list with one for each.
    pub(super) fn flag_per_level(
        &self,
        field: &str,
        default: bool,
        levels: usize,
    ) -> Result<Vec<bool>, ModelError> {
        let expected = || format!("true or false, or a list of {levels} of them");
        self.per_level(field, default, levels, Json::as_bool, expected)
    }

    fn per_level<T: Clone>(
        &self,
        field: &str,
        default: T,
        levels: usize,
        read: fn(&Json) -> Option<T>,
        expected: impl Fn() -> String,
    ) -> Result<Vec<T>, ModelError> {
        let list = match self.get(field) {
            None => Some(vec![default; levels]),
            Some(Json::Array(items)) => items.iter().map(read).collect(),
            Some(value) => read(value).map(|value| vec![value; levels]),
        };
        list.filter(|list: &Vec<T>| list.len() == levels)
            .ok_or_else(|| self.unsupported(field, expected()))
    }

    /// Height and width: one number for both, or a list of two. `null` counts as a missing field.
    pub(super) fn sides(&self, field: &str, default: u64) -> Result<[u64; 2], ModelError> {
        if let None | Some(Json::Null) = self.get(field) {
            return Ok([default; 2]);
        }
        let sides = self.count_per_level(field, default, 2)?;
        Ok([sides[0], sides[1]])
    }
}

/// Checks that `part` divides `whole`, as heads and groups must divide features.
pub(super) fn divides(
    fields: &Fields,
    field: &str,
    part: u64,
    of: &str,
    whole: u64,
) -> Result<(), ModelError> {
    if whole.is_multiple_of(part) {
        return Ok(());
    }
    Err(fields.unsupported(field, format!("a divisor of {whole}, which `{of}` gives")))
}

/// The most layers of a graph. A layer is a resnet, or an attention with the parts that follow it.
/// The denoiser of Stable Diffusion XL counts as 80 layers, and each takes about twenty nodes.
const MOST_LAYERS: u64 = 2048;

/// The most blocks of a network. The size of a picture is halved between two blocks.
const MOST_BLOCKS: usize = 16;

/// The numbers that [`count`] accepts, in the words of a message.
const WHOLE: &str = "a whole number from 1 to 1048576";

/// The largest count that is accepted in a config. No model has a larger one, and the product of
/// three such numbers fits into 64 bits.
const LARGEST_COUNT: u64 = 1 << 20;

fn count(value: &Json) -> Option<u64> {
    value.as_u64().filter(|count| (1..=LARGEST_COUNT).contains(count))
}

/// A value for a message. A long value is shortened, because a list in a file can be very long.
fn shortened(value: String) -> String {
    const MOST_LETTERS: usize = 200;
    match value.char_indices().nth(MOST_LETTERS) {
        Some((end, _)) => format!("{}... ({} bytes)", &value[..end], value.len()),
        None => value,
    }
}

/// The parser's message without the position at its end, because [`ModelError::Json`] has the line
/// and the column in fields.
fn strip_position(message: &str) -> &str {
    message.rfind(" at line ").map_or(message, |end| &message[..end])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(text: &str) -> Fields {
        Fields::parse(Path::new("unet/config.json"), text).unwrap()
    }

    #[test]
    fn broken_json_is_named_with_its_line() {
        let error =
            Fields::parse(Path::new("unet/config.json"), "{\n  \"a\": 1,\n  oops\n}").unwrap_err();
        assert_eq!(
            error.to_string(),
            "unet/config.json is not valid, line 3, column 3: key must be a string"
        );
        assert!(Fields::parse(Path::new("c"), "[1]").unwrap_err().to_string().contains("a map"));
    }

    #[test]
    fn another_value_than_the_neutral_one_is_named() {
        let fields = fields(r#"{"scale": 1.0, "kind": "fourier", "none": null}"#);
        fields.neutral("scale", &json!(1)).unwrap();
        fields.neutral("none", &json!(null)).unwrap();
        fields.neutral("absent", &json!(3)).unwrap();
        let error = fields.neutral("kind", &json!("positional")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "unet/config.json: `kind` is \"fourier\"; supported is \"positional\""
        );
    }

    #[test]
    fn wrong_types_are_named() {
        let fields = fields(
            r#"{"a": "8", "b": [1, 2, 3], "c": 0, "d": [true], "e": 1e99, "f": [[1], 2], "g": [], "h": 9e9}"#,
        );
        let told = |error: ModelError| error.to_string().replace("unet/config.json: ", "");
        assert_eq!(
            told(fields.count("a", None).unwrap_err()),
            "`a` is \"8\"; supported is a whole number from 1 to 1048576"
        );
        assert_eq!(told(fields.count("z", None).unwrap_err()), "`z` is missing");
        assert!(
            told(fields.count_per_level("b", 1, 4).unwrap_err()).contains("or a list of 4 of them")
        );
        assert!(fields.count("c", Some(1)).is_err() && fields.flag("c", true).is_err());
        assert!(fields.flag_per_level("d", false, 2).is_err());
        assert!(fields.number("e", 0.0).is_err() && fields.number("a", 0.0).is_err());
        assert!(
            fields.counts("f", &[1]).is_err()
                && fields.counts("g", &[1]).is_err()
                && fields.counts("a", &[]).is_err()
        );
        assert!(fields.count("h", None).is_err());
        assert!(
            told(fields.one_of("a", "x", &["x", "y"]).unwrap_err()).contains("supported is x, y")
        );
        assert!(
            told(fields.list_of("b", &["x"], &["x", "y"]).unwrap_err()).contains("is one of x, y")
        );
    }

    #[test]
    fn one_value_serves_every_level() {
        let fields = fields(r#"{"one": 2, "list": [1, 2, 3], "size": [96, 64], "null": null}"#);
        assert_eq!(fields.count_per_level("one", 1, 3).unwrap(), [2, 2, 2]);
        assert_eq!(fields.count_per_level("list", 1, 3).unwrap(), [1, 2, 3]);
        assert_eq!(fields.count_per_level("absent", 1, 3).unwrap(), [1, 1, 1]);
        assert_eq!(fields.sides("size", 64).unwrap(), [96, 64]);
        assert_eq!(fields.sides("null", 64).unwrap(), [64, 64]);
    }
}
