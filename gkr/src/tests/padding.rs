//! Garbage in the padding of summed axes: it is refused, and would not count.

use super::attacks::{Case, garbage};
use super::build::Builder;
use super::field_run::run;
use super::forgeries::class;
use super::suite::public;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use zkstrata_mle::{F, PrimeCharacteristicRing};
use zkstrata_model_ir::int::Model;
use zkstrata_pcs::Clear;

/// Contractions whose kept axes have no padding, of committed tensors with these axes.
const CONTRACTIONS: [(&str, &[usize], &[usize]); 4] = [
    ("a,a->", &[3], &[3]),
    ("ab,b->a", &[4, 3], &[3]),
    ("bca,bda->dbc", &[2, 4, 5], &[2, 2, 5]),
    ("ab,ba->", &[3, 6], &[6, 3]),
];

fn model(einsum: &str, left: &[usize], right: &[usize]) -> Model {
    let mut b = Builder::new(40);
    let operand = |b: &mut Builder, axes: &[usize]| {
        let x = b.input(axes, -8, 7);
        b.plain_relu(x)
    };
    let (x, y) = (operand(&mut b, left), operand(&mut b, right));
    let y = b.contract(einsum, x, y);
    b.output(y);
    b.finish()
}

#[test]
fn garbage_beyond_a_summed_axis_is_refused() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let cases = |&(einsum, left, right): &(_, _, _)| {
        Case::<Clear>::both(&model(einsum, left, right), 2).map(|case| (einsum, case))
    };
    for (einsum, case) in CONTRACTIONS.iter().flat_map(cases) {
        let tables = case.table_nodes();
        let (statement, verdict) = case.attack(&mut |node, out, _, live| {
            let padding = out.iter_mut().zip(live).filter(|(_, live)| !**live);
            for (x, _) in padding.filter(|_| tables.contains(&node)) {
                *x = garbage(&mut rng);
            }
        });
        assert_eq!(statement, case.honest, "{einsum}");
        let what = class(&verdict);
        // Sealed proofs have one check for everything.
        let check = if case.hides() {
            "sum of the relation"
        } else {
            "lookup sums"
        };
        assert_eq!(what, check, "{einsum}");
    }
}

#[test]
fn a_sum_over_padding_is_rejected() {
    let cases = |&(einsum, left, right): &(_, _, _)| {
        Case::<Clear>::both(&model(einsum, left, right), 2).map(|case| (einsum, left, case))
    };
    for (einsum, left, case) in CONTRACTIONS.iter().flat_map(cases) {
        let plan = case.plan();
        let key = case.vk.digest();
        let mut ones = |_: usize, out: &mut [F], _: &mut [Vec<F>], live: &[bool]| {
            for (x, _) in out.iter_mut().zip(live).filter(|(_, live)| !**live) {
                *x = F::ONE;
            }
        };
        let (mut statement, witness) = run(&plan, &case.model, key, &case.inputs, &mut ones);
        // What every sum would be if it ran over the padding, too.
        let padded = |axes: &[usize]| {
            axes.iter()
                .map(|n| n.next_power_of_two())
                .product::<usize>()
        };
        let summed: Vec<usize> = einsum
            .chars()
            .take_while(|&c| c != ',')
            .zip(left)
            .filter(|&(c, _)| !einsum.split_once("->").is_some_and(|(_, y)| y.contains(c)))
            .map(|(_, &n)| n)
            .collect();
        let extra = padded(&summed) - summed.iter().product::<usize>();
        assert!(extra > 0, "{einsum}");
        for cell in public(&mut statement.outputs[0]) {
            *cell += i64::try_from(extra).expect("small");
        }
        assert!(case.judge(&plan, &statement, &witness).is_err(), "{einsum}");
    }
}
