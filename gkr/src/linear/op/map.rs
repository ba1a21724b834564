//! Index maps: windows and public sparse matrices along axes, with a fill.
//!
//! A claim on the output is one on a functional of the input ([`super::functional`]), less what the
//! fill adds. A window along one axis has `A[x] = sum_t w_t sum_{i: x(i,t) = x} c_i eq(r, i)`, with
//! `w_t = eq(s, t)` for the taps of a convolution, whose sumcheck over channels and taps ended at
//! `s` ([`super::affine`]), and public `w_t` for pooling, slicing, padding and concatenation. A
//! public sparse matrix along one axis has
//! `A[x] = sum over entries with from = x of weight * eq(r, to)`.

use super::functional::{Coefs, Functional, Part, fixed};
use crate::claim::TensorClaim;
use crate::error::VerifyError;
use crate::linear::party::Party;
use crate::linear::walk::{Walk, malformed};
use zkstrata_mle::{
    E, Point, PrimeCharacteristicRing, axis_vars, eq_table, mask, signed, tensor_eq,
};
use zkstrata_model_ir::int::{Entry, Map, MapAxis, Node, TensorId};

/// Moves a claim on a map's output to a functional of the input.
pub(in crate::linear) fn step<'a, P: Party>(
    walk: &mut Walk<'a, P>,
    node: &Node,
    map: &'a Map,
    claim: TensorClaim<P::V>,
) -> Result<(), VerifyError> {
    let batch = walk.plan.batch;
    let input = node.inputs.first().copied();
    let functional = input.and_then(|input| of_map(map, batch, input, &claim.point));
    let functional = functional.ok_or_else(|| malformed(node))?;
    let mut value = claim.value;
    if map.fill != 0 {
        let fill = || fill_at(map, batch, &claim.point);
        let fill = walk.party.computed(fill).ok_or_else(|| malformed(node))?;
        value = value - fill;
    }
    functional.reduce(value, walk);
    Ok(())
}

/// The functional of a claim on a map's output, less what its fill adds to it ([`fill_at`]).
fn of_map<'a>(
    map: &'a Map,
    batch: usize,
    tensor: TensorId,
    point: &Point,
) -> Option<Functional<'a>> {
    let (r_batch, mut rest) = point.split_at_checked(axis_vars(batch))?;
    let mut parts = vec![fixed(r_batch)];
    for axis in &map.axes {
        let (r, tail) = rest.split_at_checked(axis_vars(axis.output()))?;
        rest = tail;
        parts.push(match axis {
            MapAxis::Keep(_) => fixed(r),
            MapAxis::Window { .. } | MapAxis::Matrix { .. } => summed(axis, None, r),
        });
    }
    rest.is_empty().then_some(Functional { tensor, parts })
}

/// A window or matrix at the coordinates `r` of its outputs.
pub(super) fn summed<'a>(axis: &'a MapAxis, taps: Option<&[E]>, r: &[E]) -> Part<'a> {
    Part::Summed {
        axes: vec![axis.input()],
        coefs: Coefs::Axis {
            axis,
            taps: taps.map(<[E]>::to_vec),
            r: r.to_vec(),
        },
    }
}

/// `A` of a window, whose taps have the weights `eq(s, t)` if their sumcheck ended at `s`, or of a
/// matrix.
pub(super) fn vector(axis: &MapAxis, s: Option<&[E]>, r: &[E]) -> Option<Vec<E>> {
    match axis {
        MapAxis::Keep(_) => None,
        MapAxis::Window { .. } => match s {
            Some(s) => window_vector(axis, &tensor_eq(&[axis.taps()], s), r),
            None => window_vector(axis, &vec![E::ONE; axis.taps()], r),
        },
        MapAxis::Matrix {
            input,
            output,
            entries,
        } => matrix_vector(*input, *output, entries, r),
    }
}

/// `A[x] = sum_t w_t sum_{i: x(i,t) = x} c_i eq(r, i)` for the live `x` of one window axis, where
/// `w_t = factors[t] * weight_t`.
pub(super) fn window_vector(axis: &MapAxis, factors: &[E], r: &[E]) -> Option<Vec<E>> {
    let MapAxis::Window {
        input,
        output,
        stride,
        taps,
        coefs,
    } = axis
    else {
        return None;
    };
    let mut vector = vec![E::ZERO; *input];
    let eq = scaled_eq(*output, coefs, r);
    for (tap, &factor) in taps.iter().zip(factors) {
        let weight = factor * signed(tap.weight);
        for (i, &e) in eq.iter().enumerate() {
            let x = i64::try_from(i)
                .ok()?
                .checked_mul(*stride)?
                .checked_add(tap.offset)?;
            if let Some(cell) = usize::try_from(x).ok().and_then(|x| vector.get_mut(x)) {
                *cell += weight * e;
            }
        }
    }
    Some(vector)
}

/// `c_i eq(r, i)` for the live outputs of a window.
fn scaled_eq(output: usize, coefs: &[i64], r: &[E]) -> Vec<E> {
    let mut eq = eq_table(r, output, E::ONE);
    for (e, &c) in eq.iter_mut().zip(coefs) {
        *e *= signed(c);
    }
    eq
}

/// `A[x] = sum over entries with from = x of weight * eq(r, to)` for the live `x` of one axis.
fn matrix_vector(input: usize, output: usize, entries: &[Entry], r: &[E]) -> Option<Vec<E>> {
    let mut vector = vec![E::ZERO; input];
    let eq = eq_table(r, output, E::ONE);
    for entry in entries {
        let e = *eq.get(usize::try_from(entry.to).ok()?)?;
        *vector.get_mut(usize::try_from(entry.from).ok()?)? += e * signed(entry.weight);
    }
    Some(vector)
}

/// What the fill of a map adds to its output at a point.
///
/// `X~ = fill` outside, and `fill + (X - fill)` inside, where every axis' tap is, so
///
/// ```text
/// Y(r) = (M X)(r) + fill * mask(kept) * (prod_a E_a - prod_a I_a)
/// E_a = sum_i eq(r_a,i) sum of the weights of all taps of output i
/// I_a = the same of the taps inside the input = sum_x A_a[x]
/// ```
///
/// over all axes that are not kept. A window has `E_a = (sum_t w_t)(sum_i c_i eq(r_a,i))`; the
/// entries of a matrix lie inside, `E_a = I_a`, and its factor multiplies both products.
fn fill_at(map: &Map, batch: usize, point: &Point) -> Option<E> {
    let (r_batch, mut rest) = point.split_at_checked(axis_vars(batch))?;
    let mut kept = mask(&[batch], r_batch);
    let (mut everywhere, mut inside) = (E::ONE, E::ONE);
    for axis in &map.axes {
        let (r, tail) = rest.split_at_checked(axis_vars(axis.output()))?;
        rest = tail;
        let weights = |vector: Vec<E>| vector.into_iter().sum::<E>();
        match axis {
            MapAxis::Keep(n) => kept *= mask(&[*n], r),
            MapAxis::Window {
                output,
                taps,
                coefs,
                ..
            } => {
                let all: E = taps.iter().map(|t| signed(t.weight)).sum();
                everywhere *= all * weights(scaled_eq(*output, coefs, r));
                inside *= weights(window_vector(axis, &vec![E::ONE; taps.len()], r)?);
            }
            MapAxis::Matrix {
                input,
                output,
                entries,
            } => {
                let weights = weights(matrix_vector(*input, *output, entries, r)?);
                everywhere *= weights;
                inside *= weights;
            }
        }
    }
    Some(signed(map.fill) * kept * (everywhere - inside))
}

/// Cells that a step visits.
pub(super) fn visits(map: &Map) -> usize {
    axes_visits(&map.axes)
}

/// Cells of the vectors of some axes, and what the loops over windows and entries visit.
pub(super) fn axes_visits(axes: &[MapAxis]) -> usize {
    let vector = |axis: &MapAxis| {
        let visits = match axis {
            MapAxis::Matrix {
                output, entries, ..
            } => output.saturating_add(entries.len()),
            MapAxis::Keep(_) | MapAxis::Window { .. } => axis.output().saturating_mul(axis.taps()),
        };
        visits.saturating_add(axis.input())
    };
    axes.iter().map(vector).fold(0, usize::saturating_add)
}
