//! Every operator on random shapes: odd sizes, padding, stride, dilation, groups, batches. Honest
//! proofs are accepted; with one live cell of a committed column changed they are not.

use super::build::{Builder, SHIFT, inputs, matrix, plan, taps, window};
use super::field_run::run;
use crate::proof::Proof;
use crate::{SetupOptions, setup_scheme};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use zkstrata_mle::{F, PrimeCharacteristicRing};
use zkstrata_model_ir::int::{Affine, Contract, MapAxis, Model, Op, WeightId};
use zkstrata_pcs::Clear;

/// `(input, kernel, stride, padding, dilation)` of a window that fits.
fn any_window() -> impl Strategy<Value = MapAxis> {
    (1usize..=4, 1usize..=3, 0usize..=2, 1usize..=2, 0usize..=5).prop_map(
        |(kernel, stride, pad, dilation, extra)| {
            let span = dilation * (kernel - 1) + 1;
            let input = (span + extra).saturating_sub(2 * pad).max(1);
            window(
                input.max(span.saturating_sub(2 * pad)),
                kernel,
                stride,
                pad,
                dilation,
            )
        },
    )
}

prop_compose! {
    /// A sparse matrix, empty rows included.
    fn any_matrix()(
        input in 1usize..=5,
        output in 1usize..=5,
        weights in prop::collection::vec(-4i64..=2, 25),
    ) -> MapAxis {
        let places = (0..output as u32).flat_map(|to| (0..input as u32).map(move |from| (to, from)));
        let entries = places.zip(weights).map(|((to, from), weight)| (to, from, weight.max(-1)));
        let entries: Vec<_> = entries.filter(|&(_, _, weight)| weight != 0).collect();
        matrix(input, output, &entries)
    }
}

fn any_map_axis() -> impl Strategy<Value = MapAxis> {
    prop_oneof![2 => any_axis(), 1 => any_matrix()]
}

fn any_axis() -> impl Strategy<Value = MapAxis> {
    prop_oneof![3 => any_window(), 1 => (1usize..=5).prop_map(MapAxis::Keep)]
}

fn axes(max: usize) -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1usize..=5, 0..=max)
}

prop_compose! {
    /// A convolution of any kind, then a table, then a dense layer.
    fn affine_model()(
        seed in any::<u64>(),
        lead in axes(1),
        groups in axes(1),
        inputs in axes(2),
        outputs in axes(2),
        windows in prop::collection::vec(any_axis(), 0..=2),
        with_bias in any::<bool>(),
    ) -> Model {
        let mut b = Builder::new(seed);
        let layer = Affine {
            lead,
            groups,
            outputs,
            inputs,
            windows,
            weight: WeightId(0),
            bias: None,
        };
        let x = b.input(&layer.input_axes(), -8, 7);
        let out = layer.output_axes();
        let h = b.affine(x, layer, with_bias);
        let h = b.table(h, SHIFT, |x| Some((8 + (x >> 2)).clamp(0, 15) as i32), (0, 0));
        let y = b.dense(h, &out, &[3]);
        b.output(y);
        b.finish()
    }
}

prop_compose! {
    /// A public map with weighted taps and a fill, on committed and on public tensors.
    fn map_model()(
        seed in any::<u64>(),
        mut maps in prop::collection::vec(any_map_axis(), 1..=3),
        weights in prop::collection::vec(-3i64..=3, 16),
        fill in -5i64..=5,
    ) -> Model {
        let mut b = Builder::new(seed);
        let mut next = weights.into_iter().cycle();
        for axis in &mut maps {
            if let MapAxis::Window { taps, coefs, output, .. } = axis {
                for tap in taps {
                    tap.weight = next.next().filter(|&w| w != 0).unwrap_or(2);
                }
                if next.next().is_some_and(|w| w > 0) {
                    *coefs = (0..*output).map(|i| 1 + i as i64 % 3).collect();
                }
            }
        }
        let axes: Vec<usize> = maps.iter().map(MapAxis::input).collect();
        let x = b.input(&axes, -8, 7);
        let h = b.table(x, 0, |x| Some((x * x) as i32), (0, 0));
        let m = b.map(h, maps.clone(), fill);
        b.output(m);
        let p = b.map(x, maps, fill);
        b.output(p);
        b.finish()
    }
}

prop_compose! {
    /// Requantisation by limbs of any bits with any offset.
    fn table_model()(
        seed in any::<u64>(),
        shape in axes(3),
        limbs in prop::collection::vec(1u32..=7, 0..=4),
        offset in prop_oneof![Just(0), -99_999i64..=99_999],
    ) -> Model {
        let mut b = Builder::new(seed);
        let shift: u32 = limbs.iter().sum();
        let x = b.input(&shape, -8, 7);
        let h = b.sum(&[(1 << shift.min(30), x), (-1237, x)]);
        let h = b.table_of(h, (&limbs, offset), |hi| Some((hi % 50) as i32 + 60), (0, 0));
        let y = b.dense(h, &shape, &[3]);
        b.output(y);
        b.finish()
    }
}

prop_compose! {
    /// Rearrangements and sums.
    fn index_model()(
        seed in any::<u64>(),
        shape in prop::collection::vec(1usize..=5, 3),
        perm in Just(vec![0usize, 1, 2]).prop_shuffle(),
        offset in 0i64..=3,
    ) -> Model {
        let mut b = Builder::new(seed);
        let x = b.input(&shape, -8, 7);
        let h = b.table(x, 0, |x| Some(x.abs() as i32 + 1), (0, 0));
        let p = b.permute(h, &shape, &perm);
        let permuted: Vec<usize> = perm.iter().map(|&k| shape[k]).collect();
        let cells: usize = shape.iter().product();
        let map = (0..cells).map(|i| (i as u32 * 7 + 3) % cells as u32).collect();
        let g = b.gather(p, &permuted, map);
        let s = b.sum(&[(2, p), (-1, g), (1, p)]);
        let s = b.plain_relu(s);
        // A slice with an offset, then a concatenation by padding.
        let n = permuted[0];
        let out = n + offset as usize;
        let padded = vec![
            taps(n, out, 1, &[(-offset, 1)]),
            MapAxis::Keep(permuted[1]),
            MapAxis::Keep(permuted[2]),
        ];
        let y = b.map(s, padded, 0);
        b.output(y);
        b.finish()
    }
}

prop_compose! {
    /// A contraction with every label in random roles, of committed tensors; a constant is added.
    fn contract_model()(
        seed in any::<u64>(),
        roles in prop::collection::vec((0usize..4, 1usize..=5), 0..=5),
        orders in prop::collection::vec(any::<u32>(), 15),
        itself in any::<bool>(),
    ) -> Model {
        let mut b = Builder::new(seed);
        let in_role = |list: usize| {
            // Of left, right and output: the one list in which labels of a role are not.
            let has = |&label: &usize| roles[label].0 != list;
            let mut labels: Vec<usize> = (0..roles.len()).filter(has).collect();
            labels.sort_by_key(|&label| orders[5 * list + label]);
            labels
        };
        let mut op = Contract {
            lengths: roles.iter().map(|&(_, n)| n).collect(),
            left: in_role(0),
            right: in_role(1),
            output: in_role(2),
        };
        if itself {
            // One tensor, label by label.
            op.right.clone_from(&op.left);
            let unused = |label: &usize| !op.left.contains(label);
            let gone: Vec<usize> = (0..roles.len()).filter(unused).collect();
            op.output.retain(|label| !gone.contains(label));
            for label in gone {
                // A label of length 1 changes nothing.
                op.lengths[label] = 1;
                op.left.push(label);
                op.right.push(label);
            }
        }
        let x = b.input(&op.view(&op.left), -8, 7);
        let x = b.table(x, 0, |x| Some(x.abs() as i32 - 3), (0, 0));
        let y = if itself {
            x
        } else {
            let y = b.input(&op.view(&op.right), -8, 7);
            b.table(y, 0, |y| Some(y.abs() as i32 + 1), (0, 0))
        };
        let axes = op.view(&op.output);
        let p = b.contract_labels(op, x, y);
        let c = b.constant(&axes);
        let p = b.sum(&[(1, p), (-1, c)]);
        let h = b.relu(p);
        b.output(h);
        b.output(p);
        b.finish()
    }
}

fn check(model: &Model, batch: usize, pick: usize) -> Result<(), TestCaseError> {
    let (pk, vk) = setup_scheme::<Clear>(model.clone(), &SetupOptions::default()).expect("sets up");
    let inputs = inputs(model, batch, 9);
    let (honest, proof) = pk.prove_integers(&inputs).expect("proves");
    vk.verify(&honest, &proof).expect("an honest proof");

    let plan = plan(model, batch);
    let nodes: Vec<usize> = (0..model.graph.nodes.len())
        .filter(|&i| matches!(model.graph.nodes[i].op, Op::Table { .. }))
        .collect();
    let target = nodes[pick % nodes.len()];
    let mut tamper = |node: usize, out: &mut [F], _: &mut [Vec<F>], live: &[bool]| {
        if node == target {
            let cells: Vec<usize> = (0..live.len()).filter(|&i| live[i]).collect();
            out[cells[pick % cells.len()]] += F::ONE;
        }
    };
    let (statement, witness) = run(&plan, model, vk.digest(), &inputs, &mut tamper);
    let (tape, _) = pk
        .prove_witness(&plan, &statement, &witness, None)
        .expect("commits");
    let verdict = vk.verify(&statement, &Proof { tape });
    prop_assert!(verdict.is_err(), "a false witness is accepted");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        rng_seed: RngSeed::Fixed(20_261_122),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn affine_layers(model in affine_model(), batch in 1usize..=5, pick in any::<usize>()) {
        check(&model, batch, pick)?;
    }

    #[test]
    fn maps(model in map_model(), batch in 1usize..=5, pick in any::<usize>()) {
        check(&model, batch, pick)?;
    }

    #[test]
    fn contractions(model in contract_model(), batch in 1usize..=5, pick in any::<usize>()) {
        check(&model, batch, pick)?;
    }

    #[test]
    fn tables(model in table_model(), batch in 1usize..=5, pick in any::<usize>()) {
        check(&model, batch, pick)?;
    }

    #[test]
    fn rearrangements(model in index_model(), batch in 1usize..=5, pick in any::<usize>()) {
        check(&model, batch, pick)?;
    }
}
