//! What a key works out once per batch size.

use crate::error::VerifyError;
use crate::form::Form;
use crate::options::SetupOptions;
use crate::security::Security;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zkstrata_model_ir::int::ValidGraph;
use zkstrata_pcs::joint::RelationScheme;

/// Most batch sizes that a key remembers: whoever asks for statements to be verified chooses them.
const MOST: usize = 8;

/// What proofs of a batch size consist of, and how hard they are to forge.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The plans, and where the committed columns lie.
    pub(crate) form: Form,
    /// Every term of the soundness error.
    pub(crate) security: Security,
}

impl Prepared {
    /// What proofs of `batch` inferences of a model consist of.
    pub(crate) fn new<C: RelationScheme>(
        graph: &ValidGraph,
        options: &SetupOptions,
        batch: usize,
    ) -> Result<Self, VerifyError> {
        let form = Form::new(graph, options, batch)?;
        let security = Security::new::<C>(&form, options.weights)?;
        Ok(Self { form, security })
    }

    fn is_of(&self, batch: usize) -> bool {
        self.form.plan.batch == batch
    }
}

/// The batch sizes that were asked for last, the latest first.
#[derive(Default)]
pub(crate) struct Latest(Mutex<VecDeque<Arc<Prepared>>>);

/// Not part of what a key is.
impl fmt::Debug for Latest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Latest")
    }
}

impl Latest {
    /// What is known of a batch size, made if it is not there.
    pub(crate) fn get(
        &self,
        batch: usize,
        make: impl FnOnce() -> Result<Prepared, VerifyError>,
    ) -> Result<Arc<Prepared>, VerifyError> {
        let known = self.lock().iter().find(|p| p.is_of(batch)).cloned();
        // Nobody waits for the making: at worst it is done twice.
        let prepared = match known {
            Some(known) => known,
            None => Arc::new(make()?),
        };
        let mut latest = self.lock();
        latest.retain(|p| !p.is_of(batch));
        latest.push_front(Arc::clone(&prepared));
        latest.truncate(MOST);
        Ok(prepared)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Prepared>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, feature = "prover"))]
mod tests {
    use super::*;
    use crate::tests::suite;
    use crate::{SetupOptions, setup_scheme};
    use zkstrata_pcs::Clear;

    #[test]
    fn the_latest_batch_sizes_are_remembered_and_no_more() {
        let keys = setup_scheme::<Clear>(suite::mlp(), &SetupOptions::default());
        let (_, key) = keys.expect("sets up");
        let first = key.at(1).expect("prepared");
        let other = key.clone();
        assert!(Arc::ptr_eq(&first, &other.at(1).expect("the clone's, too")));
        for batch in 1..=2 * MOST {
            let prepared = key.at(batch).expect("prepared");
            assert_eq!(prepared.form.plan.batch, batch);
        }
        assert_eq!(key.prepared.lock().len(), MOST);
        assert!(!Arc::ptr_eq(&first, &key.at(1).expect("made again")));
        let latest = key.at(2 * MOST).expect("remembered");
        assert!(Arc::ptr_eq(&latest, &key.at(2 * MOST).expect("remembered")));
    }
}
