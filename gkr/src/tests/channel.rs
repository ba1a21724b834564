//! The verifier over a second ring: a channel that counts. It shows that nothing in the protocol
//! is hard-wired to the field and prints what a verification costs.

use super::build::{inputs, plan_of};
use super::suite::models;
use crate::claim::count;
use crate::plan::WeightPlan;
use crate::verify::reduce_statement;
use crate::{SetupOptions, setup_scheme};
use zkstrata_pcs::joint::RelationScheme;
use zkstrata_pcs::{Clear, Counting, VerifierTape};

#[test]
fn the_verifier_runs_over_a_counting_ring() {
    for (name, model) in models() {
        let mut previous = None;
        for seed in [1, 2] {
            let batch = 2;
            let inputs = inputs(&model, batch, seed);
            let (pk, vk) =
                setup_scheme::<Clear>(model.clone(), &SetupOptions::default()).expect("sets up");
            let (statement, proof) = pk.prove_integers(&inputs).expect("proves");
            let plan = plan_of(vk.graph(), batch);
            let weights = WeightPlan::new(vk.graph());
            let mut tape = VerifierTape::new(&statement.digest(batch).0, &proof.tape);
            if let Some(layout) = plan.layout(vk.profile()).expect("a layout") {
                let commitment = <Clear as RelationScheme>::recv_commitment(&layout, &mut tape);
                let _ = commitment.expect("a commitment");
            }
            let mut channel = Counting::new(tape);
            let ends = reduce_statement(&plan, &weights, &statement, &mut channel)
                .expect("an honest proof");
            let counts = channel.counts();
            if seed == 1 {
                eprintln!(
                    "{name}: {} + {} claims, {counts:?}",
                    count(&ends.witness),
                    count(&ends.weights)
                );
            }
            assert!(counts.assertions > 0 && counts.scalars > 0, "{name}");
            // What a verification does depends on the key and the batch size only.
            assert_eq!(*previous.get_or_insert(counts), counts, "{name}");
        }
    }
}
