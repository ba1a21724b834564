//! Hidden inputs that a public output gives away.

use super::build::Builder;
use crate::options::{SetupOptions, Visibilities, Visibility};
use crate::{Uses, Weights, setup_scheme};
use zkstrata_model_ir::int::MapAxis;
use zkstrata_pcs::Clear;

#[test]
fn linear_outputs_show_their_inputs() {
    let mut b = Builder::new(17);
    let x = b.input(&[6], -8, 7);
    let other = b.input(&[6], -8, 7);
    let copied = b.map(x, vec![MapAxis::Keep(6)], 0);
    let layer = b.dense(x, &[6], &[4]);
    let squared = b.sum(&[(1, copied), (-3, other)]);
    // A sum with what is looked up is linear in nothing hidden, a product in one if the other is public.
    let table = b.relu(x);
    let mixed = b.sum(&[(1, copied), (1, table)]);
    let product = b.contract("i,i->i", x, other);
    for y in [copied, layer, squared, mixed, product] {
        b.output(y);
    }
    let model = b.finish();
    let exposed = |weights, inputs: [Visibility; 2], outputs: Visibilities| {
        let options = SetupOptions {
            weights,
            inputs: Visibilities::each(inputs),
            outputs,
            ..SetupOptions::default()
        };
        let keys = setup_scheme::<Clear>(model.clone(), &options);
        let vk = keys.expect("sets up").1;
        let ports = (vk.graph().inputs.clone(), vk.graph().outputs.clone());
        let at = |pair: (&_, &_)| {
            let input = ports.0.iter().position(|port| port == pair.0);
            (input, ports.1.iter().position(|port| port == pair.1))
        };
        let pairs: Vec<_> = vk.exposed().into_iter().map(at).collect();
        pairs
    };
    let (private, public) = (Visibility::Private, Visibility::Public);
    let pair = |input, output| (Some(input), Some(output));
    let all = || Visibilities::PUBLIC;
    let compact = |inputs| exposed(Weights::Compact, inputs, all());
    assert_eq!(compact([public; 2]), []);
    assert_eq!(
        compact([private, public]),
        [pair(0, 0), pair(0, 1), pair(0, 2), pair(0, 4)]
    );
    assert_eq!(compact([public, private]), [pair(1, 2), pair(1, 4)]);
    let both = [pair(0, 0), pair(0, 1), pair(0, 2), pair(1, 2)];
    assert_eq!(compact([private, private]), both);
    let hidden = Weights::Hidden(Uses::default());
    let of_hidden = exposed(hidden, [private, public], all());
    assert_eq!(of_hidden, [pair(0, 0), pair(0, 2), pair(0, 4)]);
    let committed = Visibilities::each([
        Visibility::COMMITTED,
        public,
        Visibility::COMMITTED,
        public,
        Visibility::COMMITTED,
    ]);
    let rest = exposed(Weights::Compact, [private, public], committed);
    assert_eq!(rest, [pair(0, 1)]);
}

#[test]
fn what_is_looked_up_is_no_equation() {
    let options = SetupOptions {
        inputs: Visibilities::all(Visibility::Private),
        ..SetupOptions::default()
    };
    let keys = setup_scheme::<Clear>(super::suite::mlp(), &options);
    assert!(keys.expect("sets up").1.exposed().is_empty());
}
