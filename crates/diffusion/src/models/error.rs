//! Why can preheat not run a model folder?

use std::path::PathBuf;

/// Why a model folder, or one of its config files, cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Nothing exists at the path.
    #[error("there is no model folder {path}", path = .path.display())]
    NoFolder {
        /// The path that was given.
        path: PathBuf,
    },
    /// The path is a file, but a folder is needed.
    #[error("{path} is a file, and a folder with a model_index.json is needed here", path = .path.display())]
    NotAFolder {
        /// The path that was given.
        path: PathBuf,
    },
    /// A folder without `model_index.json`.
    #[error(
        "{path} is no diffusers model folder: it holds no model_index.json{advice}",
        path = .path.display()
    )]
    NoIndex {
        /// The folder.
        path: PathBuf,
        /// What to do, if the folder is of another kind that is recognised.
        advice: String,
    },
    /// A file that the model needs is missing.
    #[error("{path} is missing, and {wanted_by} needs it", path = .path.display())]
    Missing {
        /// The file or folder.
        path: PathBuf,
        /// The file that refers to it.
        wanted_by: String,
    },
    /// A file exists but cannot be read.
    #[error("{path} cannot be read", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A config file is not a JSON object.
    #[error("{path} is not valid, line {line}, column {column}: {why}", path = .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// The parser's message.
        why: String,
    },
    /// A config field has a value that is not supported, or that is not valid for this field.
    #[error("{path}: `{field}` is {value}; supported is {supported}", path = .path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// Its value as JSON, shortened if it is long; `missing` if the file lacks the field.
        value: String,
        /// Which values are supported.
        supported: String,
    },
    /// A config field that the graph needs is missing.
    #[error("{path}: `{field}` is missing", path = .path.display())]
    NoField {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
    },
    /// Components do not fit together.
    #[error("{path}: {why}", path = .path.display())]
    Mismatch {
        /// The model folder.
        path: PathBuf,
        /// Which two do not fit, and how they differ.
        why: String,
    },
}
