//! Why a model folder is not one that preheat can run.

use std::path::PathBuf;

/// Why a model folder, or one of its config files, cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Nothing is there.
    #[error("there is no model folder {path}", path = .path.display())]
    NoFolder {
        /// The path that was given.
        path: PathBuf,
    },
    /// The path leads to a file.
    #[error("{path} is a file, and a model is a folder with a model_index.json{advice}", path = .path.display())]
    NotAFolder {
        /// The path that was given.
        path: PathBuf,
        /// What to do, for the files that are known.
        advice: String,
    },
    /// A folder without `model_index.json`.
    #[error(
        "{path} is no diffusers model folder: it holds no model_index.json{advice}",
        path = .path.display()
    )]
    NoIndex {
        /// The folder.
        path: PathBuf,
        /// What to do, where something else was recognised.
        advice: String,
    },
    /// A file that the model cannot do without.
    #[error("{path} is missing, and {wanted_by} needs it", path = .path.display())]
    Missing {
        /// The file or folder.
        path: PathBuf,
        /// What names it.
        wanted_by: String,
    },
    /// A file is there and cannot be read.
    #[error("{path} cannot be read", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A config file that is no JSON object.
    #[error("{path} is not valid, line {line}, column {column}: {why}", path = .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What the parser said.
        why: String,
    },
    /// A config field with a value that shapes another graph than those that are built, or that is
    /// no value for this field.
    #[error("{path}: `{field}` is {value}; supported is {supported}", path = .path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// Its value, as JSON.
        value: String,
        /// What may stand there.
        supported: String,
    },
    /// A config field without which there is no graph.
    #[error("{path}: `{field}` is missing", path = .path.display())]
    NoField {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
    },
    /// Components that do not go together.
    #[error("{path}: {why}", path = .path.display())]
    Mismatch {
        /// The model folder.
        path: PathBuf,
        /// Which two, and how they differ.
        why: String,
    },
}
