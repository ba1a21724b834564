//! Small models that together use every operator variant.

use super::build::{Builder, SHIFT, matrix, taps, window};
use crate::PortValue;
use zkstrata_model_ir::int::{Affine, MapAxis, Model, TensorId, WeightId};

/// `(name, model)` of every test model.
pub(crate) fn models() -> Vec<(&'static str, Model)> {
    let mut models = vec![
        ("mlp", mlp()),
        ("linear only", linear_only()),
        ("conv", conv()),
        ("strided dilated conv", strided()),
        ("grouped conv", grouped()),
        ("depthwise", depthwise()),
        ("residual", residual()),
        ("max pool", max_pool()),
        ("average pool", average_pool()),
        ("permute and gather", permute_gather()),
        ("two inputs, two outputs", two_ports()),
        ("lead axes", lead_axes()),
        ("scale per channel", scale()),
        ("pad with a constant", pad()),
        ("committed output", committed_output()),
        ("sparse matrices", sparse()),
        ("sparse matrices beside windows", sparse_and_padded()),
        ("axes of length 1", broadcast()),
        ("remainders of two and three limbs", limbs()),
        ("limbs of one cell", one_cell()),
    ];
    models.extend(super::products::models());
    models.extend(super::merging::models());
    models
}

#[allow(clippy::unnecessary_wraps)] // the form that `Builder::table` takes
/// A table with T[0] != 0, so that a zero row would be a forgery.
fn shifted(hi: i64) -> Option<i32> {
    Some((8 + (hi >> 2)).clamp(0, 15) as i32)
}

pub(crate) fn mlp() -> Model {
    let mut b = Builder::new(1);
    let x = b.input(&[5], -8, 7);
    let h = b.dense(x, &[5], &[6]);
    let h = b.table(h, SHIFT, shifted, (0, 0));
    let h = b.dense(h, &[6], &[7]);
    let h = b.relu(h);
    let y = b.dense(h, &[7], &[3]);
    b.output(y);
    b.finish()
}

pub(super) fn linear_only() -> Model {
    let mut b = Builder::new(2);
    let x = b.input(&[6], -8, 7);
    let y = b.dense(x, &[6], &[5]);
    b.output(y);
    b.finish()
}

pub(super) fn conv() -> Model {
    let mut b = Builder::new(3);
    let x = b.input(&[3, 5, 6], -8, 7);
    let windows = vec![window(5, 3, 1, 1, 1), window(6, 3, 1, 0, 1)];
    let h = b.conv(x, &[], &[3], &[5], windows);
    let h = b.relu(h);
    let y = b.dense(h, &[5, 5, 4], &[3]);
    b.output(y);
    b.finish()
}

fn strided() -> Model {
    let mut b = Builder::new(4);
    let x = b.input(&[2, 7, 9], -8, 7);
    let windows = vec![window(7, 3, 2, 1, 2), window(9, 2, 3, 0, 1)];
    let h = b.conv(x, &[], &[2], &[3], windows.clone());
    let h = b.relu(h);
    let (rows, columns) = (windows[0].output(), windows[1].output());
    let h = b.conv(
        h,
        &[],
        &[3],
        &[4],
        vec![MapAxis::Keep(rows), MapAxis::Keep(columns)],
    );
    let h = b.relu(h);
    // A one-dimensional convolution over the flattened rows.
    let h = b.conv(
        h,
        &[],
        &[4],
        &[2],
        vec![window(rows, 2, 1, 1, 1), MapAxis::Keep(columns)],
    );
    b.output(h);
    b.finish()
}

fn grouped() -> Model {
    let mut b = Builder::new(5);
    let x = b.input(&[3, 3, 5], -8, 7);
    let h = b.conv(x, &[3], &[3], &[5], vec![window(5, 3, 1, 1, 1)]);
    let h = b.relu(h);
    let h = b.conv(h, &[3], &[5], &[2], vec![window(5, 2, 2, 0, 1)]);
    b.output(h);
    b.finish()
}

fn depthwise() -> Model {
    let mut b = Builder::new(6);
    let x = b.input(&[5, 4, 4], -8, 7);
    let windows = vec![window(4, 3, 1, 1, 1), window(4, 3, 1, 1, 1)];
    let h = b.conv(x, &[5], &[], &[], windows);
    let h = b.relu(h);
    let h = b.conv(h, &[], &[5], &[3], vec![MapAxis::Keep(4), MapAxis::Keep(4)]);
    b.output(h);
    b.finish()
}

pub(super) fn residual() -> Model {
    let mut b = Builder::new(7);
    let x = b.input(&[3, 4, 4], -8, 7);
    let same = || vec![window(4, 3, 1, 1, 1), window(4, 3, 1, 1, 1)];
    let h = b.conv(x, &[], &[3], &[3], same());
    let h = b.relu(h);
    let g = b.conv(h, &[], &[3], &[3], same());
    let g = b.sum(&[(1, g), (1 << SHIFT, h)]);
    let g = b.relu(g);
    // A sum of two committed tensors without a linear layer.
    let s = b.sum(&[(1, g), (-1, h)]);
    let s = b.plain_relu(s);
    let y = b.dense(s, &[3, 4, 4], &[4]);
    b.output(y);
    b.finish()
}

pub(super) fn max_pool() -> Model {
    let mut b = Builder::new(8);
    let x = b.input(&[2, 5, 6], -8, 7);
    let h = b.conv(
        x,
        &[],
        &[2],
        &[3],
        vec![window(5, 3, 1, 1, 1), window(6, 3, 1, 1, 1)],
    );
    // Negative values, so that a padding tap read as 0 would change the result.
    let h = b.table(h, SHIFT, |_| None, (-40, -3));
    let h = b.max_pool(h, &[3, 5, 6]);
    let y = b.dense(h, &[3, 3, 3], &[4]);
    b.output(y);
    b.finish()
}

fn average_pool() -> Model {
    let mut b = Builder::new(9);
    let x = b.input(&[3, 6, 5], -8, 7);
    let h = b.conv(
        x,
        &[],
        &[3],
        &[3],
        vec![window(6, 3, 1, 1, 1), window(5, 3, 1, 1, 1)],
    );
    let h = b.relu(h);
    let mut axis = window(6, 3, 2, 1, 1);
    if let MapAxis::Window { coefs, .. } = &mut axis {
        *coefs = vec![3, 2, 2];
    }
    let h = b.map(h, vec![MapAxis::Keep(3), axis, window(5, 5, 1, 0, 1)], 0);
    let y = b.dense(h, &[3, 3], &[4]);
    b.output(y);
    b.finish()
}

fn permute_gather() -> Model {
    let mut b = Builder::new(10);
    let x = b.input(&[3, 4, 5], -8, 7);
    let x = b.permute(x, &[3, 4, 5], &[2, 0, 1]);
    let h = b.dense(x, &[5, 3, 4], &[3, 5]);
    let h = b.relu(h);
    let h = b.gather(h, &[5, 3], (0..15).rev().collect());
    let h = b.permute(h, &[5, 3], &[1, 0]);
    let h = b.gather(h, &[4], vec![3, 3, 14, 0]);
    b.output(h);
    b.finish()
}

pub(super) fn two_ports() -> Model {
    let mut b = Builder::new(11);
    let x = b.input(&[6], -8, 7);
    let z = b.input(&[3], 0, 15);
    let h = b.dense(x, &[6], &[5]);
    let h = b.relu(h);
    let g = b.dense(z, &[3], &[5]);
    let g = b.relu(g);
    let s = b.sum(&[(1, h), (3, g)]);
    b.output(s);
    let y = b.dense(h, &[5], &[2]);
    b.output(y);
    b.finish()
}

fn lead_axes() -> Model {
    let mut b = Builder::new(12);
    let x = b.input(&[3, 6], -8, 7);
    let layer = |inputs, outputs| Affine {
        lead: vec![3],
        groups: vec![],
        outputs: vec![outputs],
        inputs: vec![inputs],
        windows: vec![],
        weight: WeightId(0),
        bias: None,
    };
    let h = b.affine(x, layer(6, 5), true);
    let h = b.table(h, SHIFT, shifted, (0, 0));
    let y = b.affine(h, layer(5, 2), false);
    b.output(y);
    b.finish()
}

fn scale() -> Model {
    let mut b = Builder::new(13);
    let x = b.input(&[3, 5], -8, 7);
    let h = b.conv(x, &[3], &[], &[], vec![MapAxis::Keep(5)]);
    let h = b.relu(h);
    // Elementwise over all axes.
    let y = b.conv(h, &[3, 5], &[], &[], vec![]);
    b.output(y);
    b.finish()
}

fn pad() -> Model {
    let mut b = Builder::new(14);
    let x = b.input(&[3, 4], -8, 7);
    let h = b.dense(x, &[3, 4], &[3, 4]);
    let h = b.relu(h);
    let h = b.map(h, vec![MapAxis::Keep(3), taps(4, 7, 1, &[(-2, 1)])], 5);
    let y = b.conv(h, &[], &[3], &[2], vec![window(7, 2, 1, 0, 1)]);
    b.output(y);
    // A slice with a step, and one with nothing but its fill.
    let s = b.map(
        h,
        vec![taps(3, 2, 2, &[(0, 1)]), taps(7, 3, 2, &[(1, 2)])],
        -1,
    );
    b.output(s);
    b.finish()
}

fn committed_output() -> Model {
    let mut b = Builder::new(15);
    let x = b.input(&[5], -8, 7);
    let h = b.dense(x, &[5], &[6]);
    let h = b.relu(h);
    b.output(h);
    b.finish()
}

fn sparse() -> Model {
    let mut b = Builder::new(17);
    let x = b.input(&[3, 5], -8, 7);
    let h = b.dense(x, &[3, 5], &[3, 5]);
    let h = b.relu(h);
    let reversed: Vec<_> = (0..5).map(|i| (i, 4 - i, 1)).collect();
    let r = b.map(h, vec![MapAxis::Keep(3), matrix(5, 5, &reversed)], 0);
    let sums: Vec<_> = (0..5)
        .flat_map(|i| (0..=i).map(move |j| (i, j, 1)))
        .collect();
    let c = b.map(h, vec![MapAxis::Keep(3), matrix(5, 5, &sums)], 0);
    let s = b.sum(&[(2, r), (-1, c)]);
    b.output(s);
    // A gather with repeats on one axis, weights and empty rows on the other.
    let gathered = matrix(
        3,
        6,
        &[
            (0, 2, 1),
            (1, 2, 1),
            (2, 0, 1),
            (3, 1, 1),
            (4, 0, 1),
            (5, 2, 1),
        ],
    );
    let weighted = matrix(5, 3, &[(0, 1, 3), (0, 4, -2), (2, 0, 1)]);
    let g = b.map(h, vec![gathered, weighted], 7);
    let g = b.plain_relu(g);
    let y = b.dense(g, &[6, 3], &[2]);
    b.output(y);
    b.finish()
}

fn sparse_and_padded() -> Model {
    let mut b = Builder::new(18);
    let x = b.input(&[3, 4, 3], -8, 7);
    let h = b.dense(x, &[3, 4, 3], &[3, 4, 3]);
    let h = b.table(h, SHIFT, shifted, (0, 0));
    let resized = || {
        matrix(
            3,
            5,
            &[(0, 0, 4), (1, 0, 3), (1, 1, 1), (3, 1, -2), (4, 2, 4)],
        )
    };
    let padded = || taps(4, 6, 1, &[(-1, 2), (0, -1)]);
    let m = b.map(h, vec![MapAxis::Keep(3), padded(), resized()], 5);
    b.output(m);
    let m = b.map(h, vec![resized(), padded(), taps(3, 3, 2, &[(-1, 1)])], -3);
    let y = b.dense(m, &[5, 6, 3], &[2]);
    b.output(y);
    b.finish()
}

fn broadcast() -> Model {
    let mut b = Builder::new(19);
    let x = b.input(&[3], -8, 7);
    let h = b.dense(x, &[3], &[3]);
    let h = b.relu(h);
    // Along a new axis: with a matrix, and with a window that stands still.
    let ones: Vec<_> = (0..5).map(|i| (i, 0, 1 + i64::from(i % 2))).collect();
    let m = b.map(h, vec![matrix(1, 5, &ones), MapAxis::Keep(3)], 0);
    let w = b.map(h, vec![taps(1, 5, 0, &[(0, 1)]), MapAxis::Keep(3)], 0);
    let s = b.sum(&[(1, m), (-3, w)]);
    b.output(s);
    // Down to one cell, of which the fill of a window that reads only outside is a part.
    let total = matrix(3, 1, &[(0, 0, 1), (0, 1, 1), (0, 2, 1)]);
    let t = b.map(h, vec![matrix(1, 1, &[(0, 0, -2)]), total.clone()], 0);
    b.output(t);
    let t = b.map(h, vec![taps(1, 2, 0, &[(0, 1), (1, 1)]), total], 9);
    b.output(t);
    let nothing = b.map(h, vec![matrix(3, 2, &[])], 4);
    b.output(nothing);
    b.finish()
}

/// Sums of 21 bits.
fn scaled(b: &mut Builder, x: TensorId) -> TensorId {
    b.sum(&[(4096, x), (37, x)])
}

pub(super) fn limbs() -> Model {
    let mut b = Builder::new(20);
    let x = b.input(&[6], -8, 7);
    let h = b.dense(x, &[6], &[3, 5]);
    let h = scaled(&mut b, h);
    let round = (&[5, 11][..], 1 << 15);
    let r = b.table_of(h, round, |hi| Some((hi * hi) as i32 + 3), (0, 0));
    // Rounds down.
    let f = b.table_of(h, (&[3, 7, 6], 0), |_| None, (-9, 15));
    let s = b.sum(&[(1, r), (3, f)]);
    let m = b.table_of(s, (&[], -5), |x| Some(x.abs() as i32), (0, 0));
    let one = b.relu(m);
    let y = b.dense(one, &[3, 5], &[2]);
    b.output(y);
    b.output(s);
    b.finish()
}

pub(super) fn one_cell() -> Model {
    let mut b = Builder::new(21);
    let x = b.input(&[4], -8, 7);
    let h = b.dense(x, &[4], &[]);
    let h = scaled(&mut b, h);
    let h = b.table_of(h, (&[8, 1, 3, 2], -77), |hi| Some(1 - hi as i32), (0, 0));
    b.output(h);
    b.finish()
}

/// Large enough for a real commitment on both sides; not part of [`models`].
pub(super) fn wide() -> Model {
    let mut b = Builder::new(16);
    let x = b.input(&[64], -8, 7);
    let h = b.dense(x, &[64], &[700]);
    let h = b.relu(h);
    let h = b.dense(h, &[700], &[90]);
    let h = b.relu(h);
    let y = b.dense(h, &[90], &[10]);
    b.output(y);
    b.finish()
}

/// The cells of a public input.
pub(crate) fn public(value: &mut PortValue) -> &mut Vec<i64> {
    match value {
        PortValue::Public(cells) => cells,
        PortValue::Private | PortValue::Committed(_) => panic!("a hidden port has no cells"),
    }
}
