//! How does a request report its progress, and how is it stopped? Both go through its control.

use preheat_runtime::progress::{Control, Event, EventKind};

/// The control of one request, for one model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch<'a> {
    pub(super) model_id: &'a str,
    pub(super) control: &'a Control,
}

impl Watch<'_> {
    /// Reports what happens to a stage.
    pub(super) fn tell(&self, stage: &str, kind: EventKind) {
        self.control.tell(Event::new(self.model_id, stage, kind));
    }

    /// Returns an error if the request was asked to stop.
    pub(super) fn go_on(&self) -> Result<(), preheat_runtime::Error> {
        if self.control.is_cancelled() { Err(preheat_runtime::Error::Cancelled) } else { Ok(()) }
    }
}
