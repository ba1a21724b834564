//! What a proof consists of: a function of the graph, of what was chosen when the key was made, and of
//! the batch size.

use crate::claim;
use crate::commitment::TensorForm;
use crate::constants::Weights;
use crate::dry;
use crate::error::VerifyError;
use crate::linear::{Analysis, analyse};
use crate::options::SetupOptions;
use crate::plan::{Plan, WeightPlan};
use crate::port::PortId;
use zkstrata_model_ir::int::ValidGraph;
use zkstrata_pcs::joint::{Layout, Others, Word};
use zkstrata_pcs::seal::SealPlan;

/// The plans of a proof, and where its committed columns lie.
#[derive(Debug)]
pub(crate) struct Form {
    /// The plan of the batch.
    pub(crate) plan: Plan,
    /// The plan of the weights, however the verifier knows them.
    pub(crate) weights: WeightPlan,
    /// The witness, unless it has no columns.
    pub(crate) witness: Option<Layout>,
    /// The weights, if there are some and they are committed.
    pub(crate) key: Option<Layout>,
    /// The committed inputs and outputs, in the order of the opening.
    pub(crate) ports: Vec<PortForm>,
    /// What the linear part takes.
    pub(crate) analysis: Analysis,
    /// How much of the proof is sealed, if something is hidden.
    pub(crate) seal: Option<Seal>,
}

/// A committed input or output.
#[derive(Debug)]
pub(crate) struct PortForm {
    /// Which one.
    pub(crate) id: PortId,
    /// Its shape.
    pub(crate) form: TensorForm,
    /// Where its column lies.
    pub(crate) layout: Layout,
}

/// What is sealed of a proof.
#[derive(Debug)]
pub(crate) struct Seal {
    /// Scalars and products.
    pub(crate) plan: SealPlan,
    /// Claims on columns of the witness, of the key, and of committed inputs and outputs.
    pub(crate) claims: [usize; 3],
    /// What the verifier asserts, but for public weights.
    pub(crate) assertions: usize,
}

impl Form {
    /// The form of proofs of `batch` inferences.
    pub(crate) fn new(
        graph: &ValidGraph,
        options: &SetupOptions,
        batch: usize,
    ) -> Result<Self, VerifyError> {
        let plan = Plan::new(graph.clone(), batch).map_err(VerifyError::Key)?;
        let constants = WeightPlan::new(graph);
        // Before anything is evaluated: it refuses what would take too long.
        let analysis = analyse(&plan, &constants)?;
        let (word, profile) = (options.trust.word(), options.proof);
        let key = match options.weights {
            _ if constants.shape.is_empty() => None,
            Weights::Public => None,
            Weights::Compact => Some(constants.layout(graph, word, profile)?),
            Weights::Hidden(uses) => {
                // That of a session, which every proof has the certificate of.
                Some(constants.hidden_layout(Word::Certified, profile, uses.proofs)?)
            }
        };
        let mut ports = vec![];
        for (id, uses) in options.committed(graph) {
            if let Some(port) = id.of(graph) {
                let form = TensorForm::new(graph, port, batch, uses, profile);
                let layout = form.layout()?;
                ports.push(PortForm { id, form, layout });
            }
        }
        let (witness, seal) = if options.hide(graph) {
            let (counts, ends) = dry::verification(&plan, &constants, options)?;
            let of_ports = ends.ports.values().map(|claims| claim::count(claims)).sum();
            let [of_witness, of_key] =
                [&ends.witness, &ends.weights].map(|claims| claim::count(claims));
            let sealed = Seal {
                plan: SealPlan::new(&counts),
                claims: [of_witness, of_key, of_ports],
                assertions: counts.assertions,
            };
            let pads = sealed.plan.pads();
            let others = key.iter().chain(ports.iter().map(|port| &port.layout));
            let others: Vec<&Layout> = others.collect();
            let layout = plan.hidden_layout(profile, pads, Others::new(&others))?;
            (Some(layout), Some(sealed))
        } else {
            (plan.layout(profile)?, None)
        };
        Ok(Self {
            witness,
            key,
            ports,
            weights: constants,
            plan,
            analysis,
            seal,
        })
    }

    /// The sources of the opening, in its order.
    pub(crate) fn sources(&self) -> Vec<&Layout> {
        let ports = self.ports.iter().map(|port| &port.layout);
        self.witness.iter().chain(&self.key).chain(ports).collect()
    }
}
