//! What the certificate of a key with hidden weights proves beside its padding: how large they are.
//!
//! The key tells how many bits weights and biases have ([`WeightBits`]), and setup has checked that no
//! cell wraps whatever weights of such sizes there are. Here they are looked up: a graph whose inputs are
//! the columns of the key, a column of weights each and a block of the column of biases each, has a table
//! node for every input that says that its cells are integers of so many bits, those of more than
//! [`ROW_BITS`] by limbs. The lookup argument is that of proofs, sealed as theirs. It leaves claims on the
//! inputs, which are claims on the key's columns, so that nothing has to be shown equal to anything.
//!
//! # Soundness
//! A cell beyond its bits is in no table: the lookup argument's error. It speaks of live cells; those
//! where an input axis is padded are zero by [`padding`], whose point is drawn behind everything that was
//! sent of lookups, and no output depends on others. The key's word is fixed before the first challenge,
//! as the tape starts from the key's digest; the opening shows that it is close to a codeword, as in any
//! certificate. [`VerifyingKey::certificate_security`] lists the terms.
//!
//! # Zero knowledge
//! It is a proof that hides its inputs, with a witness that is hidden in its one opening and has the masks.
//! The key's own rows for it were counted when its layout was made. All that is random follows from the
//! key's seed: whoever certifies a key again, from its file, shows nothing more, and makes the same bytes up to
//! the proof of the last vector, which is about numbers that have been shown.

use crate::certificate::{count, longest, opening, padding};
use crate::claim::{self, Claim, TensorClaim};
use crate::dry::Dry;
use crate::error::VerifyError;
use crate::key::VerifyingKey;
use crate::lookup;
use crate::lookup::table::eval_all;
use crate::plan::{Plan, WeightPlan};
use crate::publics::{InputAt, OutputAt, Publics};
use crate::security::{FIELD_BITS, Security, ZeroKnowledge, float, of_lookups};
use crate::session::check_columns;
use crate::verify::{merge, sealed_relation};
use zkstrata_mle::{E, Point, PrimeCharacteristicRing};
use zkstrata_model_ir::int::{
    Function, Graph, Interval, Node, Op, Port, PortKind, Table, TableId, TensorId, ValidGraph,
    WeightBits, integers_of,
};
use zkstrata_pcs::joint::{Layout, Others, RelationScheme, SourceRef};
use zkstrata_pcs::seal::{Book, SealPlan, SealedTape};
use zkstrata_pcs::{Channel, ColumnId, Counting, SoundnessTerm, VerifierTape};

/// Most bits of an argument that is looked up at once, and of a limb: a table of 65,536 rows.
const ROW_BITS: u32 = 16;

/// The key among the sources of the opening, behind the witness.
const KEY: usize = 1;

/// Where the cells of an input lie: a column of the key, at these bits of its leading variables.
struct Place {
    column: ColumnId,
    bits: Vec<bool>,
}

/// What is looked up.
struct Lookups<'a> {
    /// The model's graph and where its weights lie.
    graph: &'a Graph,
    weights: &'a WeightPlan,
    /// The plan of the graph whose inputs are the key's columns; its first nodes are those inputs.
    plan: Plan,
    /// Of each input.
    places: Vec<Place>,
}

/// The proof that weights have the sizes that the key tells.
pub(crate) struct Registration<'a> {
    lookups: Lookups<'a>,
    witness: Layout,
    key: &'a Layout,
    seal: SealPlan,
    claims: usize,
    assertions: usize,
}

/// The denominators of the tables' rows: what a prover has had them come to, or a verifier evaluates.
struct Rows(Option<E>);

impl Publics for Rows {
    fn denominator(&mut self, plan: &Plan, at: &[E], [alpha, beta]: [E; 2]) -> Option<E> {
        let evaluated = || {
            let row = eval_all(&plan.graph.tables, &plan.tables, at)?;
            Some(row.denominator(alpha, beta))
        };
        self.0.or_else(evaluated)
    }

    fn output(&mut self, _: &Plan, _: usize, _: &[E]) -> Option<OutputAt> {
        None
    }

    fn input(&mut self, _: &Plan, _: usize, _: &[E]) -> Option<InputAt> {
        None
    }
}

/// The graph whose inputs are looked up.
struct Ranges {
    graph: Graph,
    /// The guards of the inputs, which come behind them all.
    guards: Vec<Node>,
    places: Vec<Place>,
}

impl Ranges {
    fn of(plan: &WeightPlan, model: &Graph, bits: WeightBits) -> Self {
        let mut ranges = Self {
            graph: Graph {
                nodes: vec![],
                tables: vec![],
                biases: vec![],
                weights: 0,
                inputs: vec![],
                outputs: vec![],
            },
            guards: vec![],
            places: vec![],
        };
        for (table, (&node, shape)) in plan.nodes.iter().zip(&plan.shape).enumerate() {
            let Some(Op::Affine(affine)) = model.nodes.get(node).map(|node| &node.op) else {
                continue;
            };
            let shape_of = affine.weight_shape();
            let axes = [shape_of.groups, shape_of.outputs, shape_of.inputs].concat();
            for column in 0..shape.width {
                let column = ColumnId { table, column };
                let place = Place {
                    column,
                    bits: vec![],
                };
                ranges.add(&axes, bits.weights, place);
            }
        }
        for block in &plan.biases {
            let vars = block.vars();
            let lead = plan.bias_vars.saturating_sub(vars);
            let index = block.offset >> vars;
            let place = Place {
                column: plan.bias_column(),
                bits: (0..lead).rev().map(|bit| index >> bit & 1 == 1).collect(),
            };
            ranges.add(&block.axes, bits.biases, place);
        }
        ranges.graph.nodes.append(&mut ranges.guards);
        ranges
    }

    /// An input of integers of so many bits.
    fn add(&mut self, axes: &[usize], bits: u32, place: Place) {
        let axes: Vec<usize> = axes.iter().copied().filter(|&n| n > 1).collect();
        let tensor = TensorId(self.graph.nodes.len());
        let shift = bits.saturating_sub(1) / ROW_BITS * ROW_BITS;
        let limbs = shift / ROW_BITS;
        let upper = integers_of(bits.saturating_sub(shift));
        let zero = Interval { lo: 0, hi: 0 };
        let table = self.table(upper);
        let range = (limbs > 0).then(|| self.table(limb()));
        self.guards.push(Node {
            name: format!("range of {}", tensor.0),
            op: Op::Table {
                table,
                shift,
                ranges: range.into_iter().cycle().take(index(limbs)).collect(),
                offset: 0,
            },
            inputs: vec![tensor],
            axes: axes.clone(),
            interval: zero,
        });
        self.graph.inputs.push(Port {
            name: format!("column {}", tensor.0),
            tensor,
            shape: axes.clone(),
            scale: 1.0,
            kind: PortKind::Integer,
            features: None,
        });
        self.graph.nodes.push(Node {
            name: format!("column {}", tensor.0),
            op: Op::Input,
            inputs: vec![],
            axes,
            interval: integers_of(bits),
        });
        self.places.push(place);
    }

    /// The table that says that an argument lies in an interval.
    fn table(&mut self, domain: Interval) -> TableId {
        let len = domain.hi.saturating_sub(domain.lo).saturating_add(1);
        let table = Table {
            function: Function::Range,
            start: domain.lo,
            len: usize::try_from(len).unwrap_or(usize::MAX),
        };
        let tables = &mut self.graph.tables;
        let known = tables.iter().position(|other| *other == table);
        TableId(known.unwrap_or_else(|| {
            tables.push(table);
            tables.len() - 1
        }))
    }
}

/// The values of a limb.
fn limb() -> Interval {
    Interval {
        lo: 0,
        hi: (1 << ROW_BITS) - 1,
    }
}

fn index(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

impl<'a> Lookups<'a> {
    fn new(
        graph: &'a Graph,
        weights: &'a WeightPlan,
        bits: WeightBits,
    ) -> Result<Self, VerifyError> {
        // Before anything is made for each of them: a few bytes of a key name many.
        check_columns(weights)?;
        count(graph, weights)?;
        let ranges = Ranges::of(weights, graph, bits);
        let lookups = ValidGraph::of_lookups(ranges.graph);
        let lookups = lookups.map_err(|e| VerifyError::Key(e.to_string()))?;
        let plan = Plan::new(lookups, 1).map_err(VerifyError::Key)?;
        Ok(Self {
            graph,
            weights,
            plan,
            places: ranges.places,
        })
    }

    /// The claims on the witness and on the key that are left.
    fn claims<H: Channel>(
        &self,
        mut rows: Rows,
        channel: &mut H,
    ) -> Result<[Vec<Claim<H::S>>; 2], VerifyError> {
        let lookups = lookup::verify(&self.plan, &mut rows, channel)?;
        let on_key = lookups
            .arguments
            .into_iter()
            .map(|claim| self.on_key(claim));
        let mut on_key = on_key.collect::<Result<Vec<_>, _>>()?;
        let z = channel.sample_vec(longest(self.weights));
        let zero = channel.constant(E::ZERO);
        on_key.extend(padding(self.graph, self.weights, &z)?.into_iter().map(
            |Claim { at, columns }| {
                let columns = columns.into_iter();
                let columns = columns.map(|(column, _)| (column, zero.clone())).collect();
                Claim { at, columns }
            },
        ));
        Ok([merge(lookups.witness, channel)?, merge(on_key, channel)?])
    }

    /// A claim on an input, as one on a column of the key.
    fn on_key<V>(
        &self,
        TensorClaim {
            tensor,
            point,
            value,
        }: TensorClaim<V>,
    ) -> Result<Claim<V>, VerifyError> {
        let place = self.places.get(tensor.0);
        let place = place.ok_or_else(|| VerifyError::Key("a range of nothing".into()))?;
        let lead = place.bits.iter().map(|&bit| E::from_bool(bit));
        let at = Point::new(lead.chain(point.iter().copied()).collect());
        Ok(Claim::of(place.column, at, value))
    }
}

impl<'a> Registration<'a> {
    /// That of a key, whose columns lie as `layout` says.
    pub(crate) fn new<C: RelationScheme>(
        vk: &'a VerifyingKey<C>,
        bits: WeightBits,
        weights: &'a WeightPlan,
        key: &'a Layout,
    ) -> Result<Self, VerifyError> {
        let lookups = Lookups::new(&vk.graph, weights, bits)?;
        let mut channel = Counting::new(Dry::default());
        let claims = lookups.claims(Rows(Some(E::ZERO)), &mut channel)?;
        let counts = channel.counts();
        let seal = SealPlan::new(&counts);
        let others = Others::new(&[key]);
        let witness = lookups
            .plan
            .hidden_layout(vk.profile, seal.pads(), others)?;
        Ok(Self {
            lookups,
            witness,
            key,
            seal,
            claims: claims.iter().map(|claims| claim::count(claims)).sum(),
            assertions: counts.assertions,
        })
    }

    /// Verifies it, behind the key's digest.
    pub(crate) fn verify<C: RelationScheme>(
        &self,
        commitment: &C::Commitment,
        mut tape: VerifierTape<'_>,
    ) -> Result<(), VerifyError> {
        let witness = C::recv_commitment(&self.witness, &mut tape)?;
        let book = Book::new(self.seal);
        let mut sealed = SealedTape::new(tape, &book);
        let claims = self.lookups.claims(Rows(None), &mut sealed)?;
        let assertions;
        (tape, assertions) = sealed.check()?;
        let values = claims.iter().flat_map(|claims| claim::values(claims));
        let settled = assertions.settle(values, tape.sample());
        let relation = sealed_relation(&self.lookups.plan, &claims, &settled);
        let sources = [(&self.witness, &witness), (self.key, commitment)];
        let sources = sources.map(|(layout, commitment)| SourceRef { layout, commitment });
        C::verify_certificate(&sources, KEY, &relation, &mut tape)?;
        Ok(tape.finish()?)
    }

    /// Every term of its soundness error, and what it shows.
    pub(crate) fn security<C: RelationScheme>(&self) -> Result<Security, VerifyError> {
        let (mut terms, lookups) = of_lookups(&self.lookups.plan);
        terms.push(SoundnessTerm {
            name: "padding of weights".into(),
            bits: FIELD_BITS - float(longest(self.lookups.weights).max(1)).log2(),
        });
        terms.extend(self.seal.soundness(self.claims, self.assertions));
        for term in &mut terms {
            term.name.insert_str(0, "certificate: ");
        }
        let key = self.key.uncertified();
        let sources = [&self.witness, &key];
        terms.extend(opening::<C>(&sources)?);
        Ok(Security {
            zero_knowledge: ZeroKnowledge::of::<C>(&sources, lookups)?,
            ..Security::sum(0, terms)
        })
    }
}

#[cfg(feature = "prover")]
mod prover {
    use super::{KEY, Registration, Rows};
    use crate::certificate::longest;
    use crate::claim;
    use crate::error::{ProveError, VerifyError};
    use crate::lookup;
    use crate::plan::WeightPlan;
    use crate::verify::sealed_relation;
    use crate::witness::{Evidence, Witness, columns};
    use zkstrata_model_ir::int::{Executor, Ints, Model, Op};
    use zkstrata_pcs::joint::{Column, RelationProver};
    use zkstrata_pcs::seal::{Book, Known, Pads, Replay};
    use zkstrata_pcs::{ProverTape, Seed};

    impl Registration<'_> {
        /// Proves it of a model's weights, which `data` commits to, behind the key's digest. The seed is
        /// a secret, and of this key alone.
        pub(crate) fn prove<C: RelationProver>(
            &self,
            model: &Model,
            data: &C::Data,
            seed: &Seed,
            tape: &mut ProverTape,
        ) -> Result<(), ProveError> {
            self.prove_witness::<C, _>(self.witness(model)?, data, seed, tape)
        }

        /// The plan of the lookups.
        #[cfg(test)]
        pub(crate) fn plan(&self) -> &crate::plan::Plan {
            &self.lookups.plan
        }

        /// What the lookups of a model's weights leave to be proven.
        pub(crate) fn witness(&self, model: &Model) -> Result<Witness, ProveError> {
            let plan = &self.lookups.plan;
            let mut ranges = Model {
                graph: plan.graph.shared().as_ref().clone(),
                weights: vec![],
                biases: vec![],
            };
            // A model has an output; the proof speaks of none.
            ranges.graph.outputs = ranges.graph.inputs[..1].to_vec();
            let executor = Executor::new(&ranges).map_err(|e| ProveError::Key(e.to_string()))?;
            let trace = executor.run(&inputs(model, self.lookups.weights))?;
            Ok(Witness::new(plan, trace))
        }

        /// Proves any witness, honest or not.
        pub(crate) fn prove_witness<C: RelationProver, W: Evidence>(
            &self,
            witness: W,
            data: &C::Data,
            seed: &Seed,
            tape: &mut ProverTape,
        ) -> Result<(), ProveError> {
            let refused = |e: VerifyError| match e {
                VerifyError::Tape(e) => ProveError::Seal(e.into()),
                VerifyError::Seal(e) => ProveError::Seal(e),
                other => ProveError::Key(other.to_string()),
            };
            let plan = &self.lookups.plan;
            let pads = Pads::drawn(self.seal, seed);
            let mut columns = columns(plan, &witness);
            columns.push(Column::Field(pads.cells()));
            let (commitment, own) = C::commit_hidden(&self.witness, columns, seed)?;
            C::send_commitment(&commitment, tape);
            tape.seal(pads);
            let denominator = lookup::prove(plan, &witness, tape).denominator;
            drop(witness);
            tape.sample_vec(longest(self.lookups.weights));
            let book = Book::new(self.seal);
            let mut replay = Replay::new(tape, &book);
            let claims = self.lookups.claims(Rows(Some(denominator)), &mut replay);
            let claims = claims.map_err(refused)?;
            let assertions = replay.finish()?.prove(tape)?;
            let values = claims.iter().flat_map(|claims| claim::values(claims));
            let settled = assertions.settle(values.map(Known::sealed), tape.sample());
            let relation = sealed_relation(plan, &claims, &settled);
            Ok(C::certify(&[&own, data], KEY, &relation, tape)?)
        }
    }

    /// The cells of the inputs: a column of a layer each, and a bias each.
    fn inputs(model: &Model, plan: &WeightPlan) -> Vec<Ints> {
        let mut inputs = vec![];
        for (&node, weights) in plan.nodes.iter().zip(&model.weights) {
            let Op::Affine(affine) = &model.graph.nodes[node].op else {
                unreachable!("the plan lists affine nodes");
            };
            let taps: usize = affine.weight_shape().taps.iter().product();
            let tap = |t: usize| weights.iter().skip(t).step_by(taps).collect();
            inputs.extend((0..taps).map(|t| Ints::I32(tap(t))));
        }
        inputs.extend(model.biases.iter().map(|bias| Ints::I64(bias.clone())));
        inputs
    }
}
