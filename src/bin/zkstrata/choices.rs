//! What is chosen when keys are made.

use crate::failure::Failure;
use clap::{Args, ValueEnum};
use std::num::NonZeroU16;
use zkstrata::model_ir::int::{Graph, Port};
use zkstrata::{DEFAULT_USES, SetupOptions, Trust, Uses, Visibilities, Visibility};

/// How the verifier knows the weights.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Weights {
    /// The verifying key commits to them and stays small; proofs show parts of them
    #[default]
    Compact,
    /// The verifying key holds them: faster and smaller proofs, a key as large as the model
    Public,
    /// Nobody but the prover sees them: proofs are made in sessions (`zkstrata session`)
    Hidden,
}

/// What proofs are made for.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Proofs {
    /// The time that they take to make
    #[default]
    Fast,
    /// Their size: smaller by a tenth to a third, slower to make, larger keys in memory
    Small,
}

/// Who sees an input or an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Who {
    /// Everybody who sees the proof
    Public,
    /// The prover alone
    Private,
    /// Whoever committed to it; proofs with one commitment are about the same
    Committed,
}

/// That of all inputs or outputs, or of one.
#[derive(Clone, Debug)]
struct Visible {
    port: Option<String>,
    who: Who,
}

/// What is chosen when keys are made.
#[derive(Clone, Debug, Args)]
pub(crate) struct Keys {
    /// How verifiers know the weights
    #[arg(long, value_enum, default_value_t)]
    weights: Weights,
    /// How many proofs a session of hidden weights makes; more make each proof larger
    ///
    /// 64 if it is not said.
    #[arg(long, value_name = "N")]
    uses: Option<NonZeroU16>,
    /// How many sessions a key with hidden weights has over all its life; more make the key larger in memory
    ///
    /// 256 if it is not said.
    #[arg(long, value_name = "N")]
    sessions: Option<NonZeroU16>,
    /// What proofs are made for
    #[arg(long, value_enum, default_value_t)]
    proof: Proofs,
    /// Make keys for verifiers who do not trust their maker, with a certificate (model.zkct)
    ///
    /// Proofs are a few kilobytes longer. Public weights need no certificate.
    #[arg(long)]
    certificate: bool,
    /// Hide the inputs: short for --input-visibility private
    #[arg(long)]
    zk: bool,
    /// Who sees the inputs: `public`, `private`, `committed`, or NAME=private for one of them; may be given
    /// several times
    ///
    /// With a private input a proof says that there is one in the calibrated range with which the model
    /// gives the outputs, and shows nothing else of it, nor of any activation. Weights are not hidden by
    /// this, see --weights. Of a committed input a proof
    /// has a commitment besides, made by `zkstrata commit`, by the proof that it is an output of, or by the
    /// prover: proofs with the same one have the same input.
    #[arg(long, value_name = "[NAME=]WHO", value_parser = visible)]
    input_visibility: Vec<Visible>,
    /// Who sees the outputs: `public`, `committed`, or NAME=committed for one of them
    ///
    /// Of a committed output a proof has a commitment, and what opens it can be kept (`zkstrata prove
    /// --output-secret`) to prove with the output as the committed input of another model. Activations are
    /// then hidden; inputs are if they are said to be.
    #[arg(long, value_name = "[NAME=]WHO", value_parser = visible)]
    output_visibility: Vec<Visible>,
    /// In how many proofs a commitment to an input or output hides it
    ///
    /// 4 if it is not said.
    #[arg(long, value_name = "N")]
    commitment_uses: Option<NonZeroU16>,
}

impl Keys {
    /// Whether the weights are to be hidden.
    pub(crate) fn hides_weights(&self) -> bool {
        matches!(self.weights, Weights::Hidden)
    }

    /// Why verifiers believe that the key is one of weights.
    pub(crate) fn trust(&self) -> Trust {
        if self.certificate {
            Trust::Certificate
        } else {
            Trust::Maker
        }
    }

    /// The options that say so, for a model.
    pub(crate) fn options(&self, graph: &Graph) -> Result<SetupOptions, Failure> {
        self.check()?;
        let zk = self.zk.then_some(Who::Private);
        let inputs = self.visibilities("input", &self.input_visibility, zk, &graph.inputs)?;
        let outputs = self.visibilities("output", &self.output_visibility, None, &graph.outputs)?;
        Ok(SetupOptions {
            weights: match self.weights {
                Weights::Compact => zkstrata::Weights::Compact,
                Weights::Public => zkstrata::Weights::Public,
                Weights::Hidden => zkstrata::Weights::Hidden(Uses {
                    sessions: self.sessions.unwrap_or(Uses::default().sessions),
                    proofs: self.uses.unwrap_or(Uses::default().proofs),
                }),
            },
            proof: match self.proof {
                Proofs::Fast => zkstrata::ProofProfile::Fast,
                Proofs::Small => zkstrata::ProofProfile::Small,
            },
            trust: self.trust(),
            inputs,
            outputs,
        })
    }

    /// Refuses what no model can have.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.certificate && matches!(self.weights, Weights::Public) {
            return Err(Failure::new(
                "--certificate: public weights need no certificate, since verifiers see them",
            )
            .remedy("leave out --certificate or --weights public"));
        }
        if !self.hides_weights() && (self.uses.is_some() || self.sessions.is_some()) {
            let what = "--uses and --sessions are said of hidden weights";
            return Err(
                Failure::new(what).remedy("set up with --weights hidden, or leave them out")
            );
        }
        let ports = self.input_visibility.iter().chain(&self.output_visibility);
        let committed = ports.filter(|said| said.who == Who::Committed).count() > 0;
        if self.commitment_uses.is_some() && !committed {
            let what = "--commitment-uses is said of committed inputs and outputs";
            return Err(Failure::new(what)
                .remedy("set up with --input-visibility committed, or leave it out"));
        }
        Ok(())
    }

    /// Who sees each port of a kind; what is said of one counts more than what is said of all.
    fn visibilities(
        &self,
        kind: &str,
        said: &[Visible],
        of_all: Option<Who>,
        ports: &[Port],
    ) -> Result<Visibilities, Failure> {
        let all = said.iter().filter(|said| said.port.is_none());
        let mut of_all: Vec<Who> = all.map(|said| said.who).chain(of_all).collect();
        of_all.dedup();
        if of_all.len() > 1 {
            return Err(Failure::new(format!(
                "--{kind}-visibility: two different things are said of all {kind}s"
            ))
            .remedy(format!("say one, or of one {kind}: NAME=public")));
        }
        let of_all = of_all.pop().unwrap_or(Who::Public);
        let mut of = vec![of_all; ports.len()];
        for Visible { port, who } in said {
            let Some(name) = port else { continue };
            let Some(at) = ports.iter().position(|port| port.name == *name) else {
                let ports: Vec<_> = ports
                    .iter()
                    .map(|port| format!("`{}`", port.name))
                    .collect();
                return Err(Failure::new(format!(
                    "--{kind}-visibility: the model has no {kind} `{name}`"
                ))
                .remedy(format!("its {kind}s are {}", ports.join(", "))));
            };
            of[at] = *who;
        }
        let visibility = |who| match who {
            Who::Public => Visibility::Public,
            Who::Private => Visibility::Private,
            Who::Committed => Visibility::Committed {
                uses: self.commitment_uses.unwrap_or(DEFAULT_USES),
            },
        };
        Ok(Visibilities::each(of.into_iter().map(visibility)))
    }
}

fn visible(text: &str) -> Result<Visible, String> {
    let (port, who) = match text.rsplit_once('=') {
        Some((name, who)) => (Some(name.into()), who),
        None => (None, text),
    };
    let who = Who::from_str(who, false).map_err(|_| {
        format!(
            "`{who}` is none of `public`, `private` and `committed` (which `zkstrata commit` makes \
                 commitments for, and hashes)"
        )
    })?;
    Ok(Visible { port, who })
}
