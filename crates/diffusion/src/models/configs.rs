//! Where do the configs of a model come from?
//!
//! They come from a folder in the diffusers layout, or, for a model in a single file, from preheat
//! itself. A component can also have its config in a folder of its own. Whatever the place is, a
//! reader gets the text of a config and the path that messages name.

use std::io;
use std::path::{Path, PathBuf};

use preheat_io::input;
use serde_json::{Map, Value as Json};

use super::family::{Component, INDEX, MOST_CONFIG_BYTES};

/// The name of a config in the folder of its component.
const CONFIG: &str = "config.json";

/// The configs of a model.
#[derive(Debug, Clone)]
pub struct Configs {
    place: Place,
    /// The components whose config is in a folder of its own.
    apart: Vec<(Component, PathBuf)>,
}

#[derive(Debug, Clone)]
enum Place {
    Folder(PathBuf),
    /// Configs that preheat carries: their name in messages, and the files by their paths in a
    /// folder of diffusers.
    Carried(PathBuf, Map<String, Json>),
}

impl Configs {
    /// The configs of a folder in the diffusers layout.
    pub fn in_folder(folder: &Path) -> Self {
        Self { place: Place::Folder(folder.to_owned()), apart: Vec::new() }
    }

    /// Configs that are in memory, by their paths in a folder of diffusers. Messages call the
    /// folder `name`.
    pub fn in_memory(name: &str, files: Map<String, Json>) -> Self {
        Self { place: Place::Carried(PathBuf::from(name), files), apart: Vec::new() }
    }

    /// The same configs, except that the config of `component` is in `folder`.
    #[must_use]
    pub fn with_component(mut self, component: Component, folder: &Path) -> Self {
        self.apart.push((component, folder.to_owned()));
        self
    }

    /// The folder that has the configs. If they are in memory, the name that messages use instead.
    pub fn place(&self) -> &Path {
        match &self.place {
            Place::Folder(folder) | Place::Carried(folder, _) => folder,
        }
    }

    /// The path of `model_index.json`.
    pub fn index(&self) -> PathBuf {
        self.place().join(INDEX)
    }

    /// The text of `model_index.json`.
    pub(super) fn index_text(&self) -> io::Result<String> {
        self.text_of(INDEX)
    }

    /// The folder of a component.
    pub fn component(&self, component: Component) -> PathBuf {
        self.apart(component).map_or_else(|| self.place().join(component.name()), Path::to_owned)
    }

    /// Whether the component has a folder, or its files are in memory.
    pub(crate) fn has(&self, component: Component) -> bool {
        match (&self.place, self.apart(component)) {
            (Place::Carried(_, files), None) => {
                files.keys().any(|name| name.split('/').next() == Some(component.name()))
            }
            _ => self.component(component).is_dir(),
        }
    }

    /// The path and the text of a component's config.
    pub(super) fn config(&self, component: Component) -> (PathBuf, io::Result<String>) {
        self.file(component, CONFIG)
    }

    /// The path and the text of a file of a component.
    pub(crate) fn file(&self, component: Component, file: &str) -> (PathBuf, io::Result<String>) {
        let path = self.component(component).join(file);
        let text = match self.apart(component) {
            Some(_) => input::text(&path, MOST_CONFIG_BYTES),
            None => self.text_of(&format!("{}/{file}", component.name())),
        };
        (path, text)
    }

    fn text_of(&self, name: &str) -> io::Result<String> {
        match &self.place {
            Place::Folder(folder) => input::text(&folder.join(name), MOST_CONFIG_BYTES),
            Place::Carried(_, files) => match files.get(name) {
                Some(file) => Ok(file.to_string()),
                None => Err(io::Error::from(io::ErrorKind::NotFound)),
            },
        }
    }

    fn apart(&self, component: Component) -> Option<&Path> {
        let found = self.apart.iter().rev().find(|(apart, _)| *apart == component);
        found.map(|(_, folder)| folder.as_path())
    }
}
