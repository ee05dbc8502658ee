//! How is a manifest read so that each error names its line, its field and what is allowed?
//!
//! The file is parsed into values that know their position, and each field is checked on its own.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use preheat_io::input;
use preheat_runtime::device::Target;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Manifest, ManifestModel};
use crate::evidence::EvidenceError;
use crate::pipeline::{Precision, TextToImage, parse_resolution};

/// What is wrong with a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) line: usize,
    pub(super) field: String,
    pub(super) why: String,
}

const FIELDS: &str = "folder, variant, targets, sizes, batches, guided, negative_prompt, prompt_chunks, image_to_image, clip_skip, \
                      precision, \
                      text_encoder_precision, denoiser_precision, vae_precision, autocast, \
                      compile_effort";

/// The largest batch, and the largest side in pixels: the same bounds as in a request.
const MOST: u64 = 1 << 16;

type Value<'a, 'i> = &'a Spanned<DeValue<'i>>;

impl Manifest {
    /// The size of the largest manifest that is read. A manifest takes a few hundred bytes for each
    /// model.
    const MOST_BYTES: u64 = 1 << 20;

    /// Reads a manifest.
    ///
    /// # Errors
    /// If the file cannot be read or is not TOML, or a field is wrong. The error names the field,
    /// its line and what is allowed.
    pub fn read(path: &Path) -> Result<Self, EvidenceError> {
        let failed = |cause| EvidenceError::File {
            doing: "reading the manifest",
            path: path.to_owned(),
            cause,
        };
        let text = input::text(path, Self::MOST_BYTES).map_err(failed)?;
        manifest(&text).map_err(|wrong| EvidenceError::Manifest {
            path: path.to_owned(),
            line: wrong.line,
            field: wrong.field,
            why: wrong.why,
        })
    }
}

pub(super) fn manifest(text: &str) -> Result<Manifest, Wrong> {
    let reader = Reader { text };
    let table = DeTable::parse(text).map_err(|error| {
        reader.wrong(
            &error.span().unwrap_or(0..0),
            "syntax",
            format!("this is not TOML: {}", error.message().trim()),
        )
    })?;
    let mut models = Vec::new();
    for (name, value) in table.get_ref() {
        if name.get_ref() != "model" {
            let why = "there is no such field; a manifest is made of [[model]] tables".to_owned();
            return Err(reader.wrong(&name.span(), name.get_ref(), why));
        }
        for item in reader.array("model", value, "tables: write [[model]] above each")? {
            let Some(table) = item.get_ref().as_table() else {
                return Err(reader.expected("model", item, "tables: write [[model]] above each"));
            };
            models.push(reader.model(table, &item.span())?);
        }
    }
    if models.is_empty() {
        return Err(reader.wrong(
            &(0..0),
            "model",
            "there is none: a manifest has at least one [[model]]".to_owned(),
        ));
    }
    Ok(Manifest { models })
}

struct Reader<'t> {
    text: &'t str,
}

impl Reader<'_> {
    fn model(&self, table: &DeTable<'_>, whole: &Range<usize>) -> Result<ManifestModel, Wrong> {
        let mut model = ManifestModel::default();
        for (name, value) in table {
            let field: &str = name.get_ref();
            match field {
                "folder" => {
                    model.folder =
                        Some(PathBuf::from(self.name(field, value, "a model's folder")?));
                }
                "variant" => {
                    model.variant =
                        Some(self.name(field, value, "a name, such as \"fp16\"")?.to_owned());
                }
                "targets" => {
                    model.targets =
                        self.each(field, value, "targets, such as \"tpu:v5e:1x1\"", target)?;
                }
                "sizes" => {
                    model.sizes =
                        self.each(field, value, "sizes, such as \"512x768\", width first", size)?;
                }
                "batches" => {
                    model.batches =
                        self.each(field, value, "numbers of pictures, from 1 to 65536", batch)?;
                }
                "guided" => model.guided = self.each(field, value, "true, false or both", truth)?,
                "negative_prompt" => {
                    model.negative_prompt =
                        self.each(field, value, "true, false or both", truth)?;
                }
                "prompt_chunks" => {
                    let why = "numbers of chunks of 75 tokens, from 1 to 64";
                    model.prompt_chunks = self.each(field, value, why, chunks)?;
                }
                "image_to_image" => {
                    model.image_to_image = self.one(field, value, "true or false", truth)?;
                }
                "clip_skip" => {
                    model.clip_skip =
                        self.one(field, value, "a number of layers, 0 for none", integer)?;
                }
                "compile_effort" => {
                    let why = "\"fast\", \"balanced\", \"full\" or \"tiered\"";
                    let effort = |value: &DeValue<'_>| value.as_str()?.parse().ok();
                    model.compile_effort = Some(self.one(field, value, why, effort)?);
                }
                "precision" => model.precisions.all = self.precision(field, value)?,
                "text_encoder_precision" => {
                    model.precisions.text_encoder = Some(self.precision(field, value)?);
                }
                "denoiser_precision" => {
                    model.precisions.denoiser = Some(self.precision(field, value)?);
                }
                "vae_precision" => model.precisions.vae = Some(self.precision(field, value)?),
                "autocast" => {
                    model.precisions.autocast = self.one(field, value, "true or false", truth)?;
                }
                _ => {
                    return Err(self.wrong(
                        &name.span(),
                        field,
                        format!("there is no such field; the fields are {FIELDS}"),
                    ));
                }
            }
        }
        if model.sizes.is_empty() {
            let why =
                "it is missing: every [[model]] lists the sizes to warm, such as [\"512x512\"]"
                    .to_owned();
            return Err(self.wrong(whole, "sizes", why));
        }
        Ok(model)
    }

    /// Reads a single value with `read`.
    fn one<T>(
        &self,
        field: &str,
        value: Value<'_, '_>,
        allowed: &str,
        read: impl Fn(&DeValue<'_>) -> Option<T>,
    ) -> Result<T, Wrong> {
        read(value.get_ref()).ok_or_else(|| self.expected(field, value, allowed))
    }

    /// Reads a list of at least one value, in which no value may occur twice.
    fn each<T: PartialEq>(
        &self,
        field: &str,
        value: Value<'_, '_>,
        allowed: &str,
        read: impl Fn(&DeValue<'_>) -> Option<T>,
    ) -> Result<Vec<T>, Wrong> {
        let mut all = Vec::new();
        for item in self.array(field, value, allowed)? {
            let one = self.one(field, item, allowed, &read)?;
            if all.contains(&one) {
                return Err(self.wrong(
                    &item.span(),
                    field,
                    format!("{} occurs twice", self.quoted(item)),
                ));
            }
            all.push(one);
        }
        if all.is_empty() {
            return Err(self.wrong(
                &value.span(),
                field,
                format!("the list is empty; {allowed} are allowed"),
            ));
        }
        Ok(all)
    }

    fn array<'a, 'i>(
        &self,
        field: &str,
        value: Value<'a, 'i>,
        allowed: &str,
    ) -> Result<impl Iterator<Item = Value<'a, 'i>> + use<'a, 'i>, Wrong> {
        match value.get_ref().as_array() {
            Some(array) => Ok(array.iter()),
            None => Err(self.wrong(
                &value.span(),
                field,
                format!(
                    "{} is no list; a list in [ ] is allowed, of {allowed}",
                    self.quoted(value)
                ),
            )),
        }
    }

    fn name<'a>(&self, field: &str, value: Value<'a, '_>, allowed: &str) -> Result<&'a str, Wrong> {
        let text = value.get_ref().as_str().filter(|text| !text.is_empty());
        text.ok_or_else(|| self.expected(field, value, allowed))
    }

    fn precision(&self, field: &str, value: Value<'_, '_>) -> Result<Precision, Wrong> {
        let read = |value: &DeValue<'_>| Precision::from_str(value.as_str()?).ok();
        self.one(field, value, "\"auto\", \"bf16\", \"fp16\" or \"fp32\"", read)
    }

    fn expected(&self, field: &str, value: Value<'_, '_>, allowed: &str) -> Wrong {
        self.wrong(
            &value.span(),
            field,
            format!("{} is not allowed: give {allowed}", self.quoted(value)),
        )
    }

    /// A value as it is written in the file, shortened if it is long.
    fn quoted(&self, value: Value<'_, '_>) -> String {
        const MOST_CHARACTERS: usize = 40;
        let text =
            self.text.get(value.span()).unwrap_or_default().lines().next().unwrap_or_default();
        match text.char_indices().nth(MOST_CHARACTERS) {
            Some((end, _)) => format!("{}...", &text[..end]),
            None => text.to_owned(),
        }
    }

    fn wrong(&self, at: &Range<usize>, field: &str, why: String) -> Wrong {
        let before = self.text.get(..at.start.min(self.text.len())).unwrap_or_default();
        Wrong { line: before.matches('\n').count() + 1, field: field.to_owned(), why }
    }
}

fn target(value: &DeValue<'_>) -> Option<Target> {
    value.as_str()?.parse().ok()
}

fn size(value: &DeValue<'_>) -> Option<[u64; 2]> {
    let size = parse_resolution(value.as_str()?).ok()?;
    size.iter().all(|side| (8..=MOST).contains(side)).then_some(size)
}

fn batch(value: &DeValue<'_>) -> Option<u64> {
    integer(value).filter(|batch| (1..=MOST).contains(batch))
}

fn chunks(value: &DeValue<'_>) -> Option<u64> {
    integer(value).filter(|chunks| (1..=TextToImage::MOST_PROMPT_CHUNKS).contains(chunks))
}

fn integer(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn truth(value: &DeValue<'_>) -> Option<bool> {
    value.as_bool()
}
