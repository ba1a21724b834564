//! A tracing layer that adds up the time of the prover's spans.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tracing::{Level, Metadata, Subscriber, span};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// Seconds spent in each span.
#[derive(Clone, Default)]
pub(crate) struct Stages(Arc<Mutex<BTreeMap<String, f64>>>);

impl Stages {
    /// Starts to listen. A process does so once.
    pub(crate) fn start() -> Self {
        let stages = Self::default();
        let subscriber = Registry::default().with(stages.clone());
        tracing::subscriber::set_global_default(subscriber)
            .expect("a worker sets the subscriber once");
        stages
    }

    /// The times since the last call.
    pub(crate) fn take(&self) -> BTreeMap<String, f64> {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut times)
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Stages {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let is_stage = metadata.is_span() && *metadata.level() <= Level::INFO;
        is_stage && metadata.target().starts_with("zkstrata")
    }

    fn on_enter(&self, id: &span::Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            span.extensions_mut().replace(Instant::now());
        }
    }

    fn on_exit(&self, id: &span::Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let Some(start) = span.extensions_mut().remove::<Instant>() else {
            return;
        };
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *times.entry(span.name().into()).or_default() += start.elapsed().as_secs_f64();
    }
}
