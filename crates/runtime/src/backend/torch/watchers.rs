//! Which threads wait for the devices of a session? One for each device, so that no device's events
//! wait for another device.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError, mpsc};

use preheat_pjrt::report_panic;

/// Waits for an event, and then calls the function that was registered for it.
type Watch = Box<dyn FnOnce() + Send>;

/// The channel to each device's thread. The thread is started when it is first needed, and ends
/// when this is dropped.
#[derive(Default)]
pub(super) struct Watchers {
    by_device: Mutex<HashMap<u32, mpsc::Sender<Watch>>>,
}

impl Watchers {
    /// Runs `watch` on the device's thread after all earlier watches. The events of a device become
    /// ready in this order, too.
    pub(super) fn add(&self, device: u32, watch: impl FnOnce() + Send + 'static) {
        let mut by_device = self.by_device.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = by_device.entry(device).or_insert_with(|| start(device)).send(Box::new(watch));
        // The lock is released here, because a watch that runs on this thread may take long, and
        // may add another watch.
        drop(by_device);
        if let Err(mpsc::SendError(watch)) = sent {
            guarded(watch);
        }
    }
}

fn start(device: u32) -> mpsc::Sender<Watch> {
    let (sender, receiver) = mpsc::channel::<Watch>();
    let thread = std::thread::Builder::new().name(format!("preheat-torch-{device}"));
    // If there is no thread, the receiver is dropped, and each event is waited for by the thread
    // that adds its watch.
    if let Err(error) = thread.spawn(move || receiver.into_iter().for_each(guarded)) {
        tracing::debug!(%error, "no thread waits for device {device} of libtorch");
    }
    sender
}

/// Runs a watch so that its panic does not stop the thread, which has other watches to run.
fn guarded(watch: Watch) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(watch)) {
        report_panic(panic);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn a_panic_ends_there_and_the_next_is_told_in_order() {
        let (watchers, (told, tell)) = (Watchers::default(), mpsc::channel());
        for number in 0..3 {
            let told = told.clone();
            watchers.add(0, move || {
                assert_ne!(number, 1, "this panic is meant");
                told.send(number).unwrap();
            });
        }
        assert_eq!([tell.recv_timeout(LONG), tell.recv_timeout(LONG)], [Ok(0), Ok(2)]);
    }

    #[test]
    fn a_device_does_not_wait_for_another() {
        let watchers = Watchers::default();
        let (go_on, is_told) = mpsc::channel::<()>();
        let (told, tell) = mpsc::channel();
        let of_first = told.clone();
        watchers.add(0, move || {
            is_told.recv_timeout(LONG).unwrap();
            of_first.send("the first").unwrap();
        });
        watchers.add(1, move || told.send("the second").unwrap());
        assert_eq!(tell.recv_timeout(LONG), Ok("the second"));
        go_on.send(()).unwrap();
        assert_eq!(tell.recv_timeout(LONG), Ok("the first"));
    }
}
