//! Panics as answers: caught, silent, and with their places.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Makes panics silent that [`guarded`] catches, and their places known to it.
pub(super) fn silence_panics() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if GUARDED.get() {
            let place = info.location().map(ToString::to_string);
            PLACE.with(|p| *p.borrow_mut() = place.unwrap_or_default());
        } else {
            loud(info);
        }
    }));
}

/// What `f` gives, or the text and the place of its panic.
pub(super) fn guarded<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    let before = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    GUARDED.set(before);
    result.map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        let place = PLACE.with(|p| p.borrow().clone());
        format!("{} at {place}", text.unwrap_or_default())
    })
}
