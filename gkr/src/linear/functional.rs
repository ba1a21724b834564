//! Public functionals of a tensor: index maps, windows, sparse matrices, gathers.
//!
//! The claim is `y = sum_x prod_a A_a(x_a) X(r, x)`: some axes of `X` are fixed at coordinates
//! `r`, the others are summed with public coefficient vectors `A_a`, which live on real indices
//! only (the padding rule). A sumcheck of degree 2 over the summed variables ends in the claim
//! `X(r, s)`; the verifier evaluates `A_a(s_a)` itself. Soundness error: `2 * vars / |E|`.
//!
//! A window along one axis has `A[x] = sum_t w_t sum_{i: x(i,t) = x} c_i eq(r, i)`, with
//! `w_t = eq(s, t)` for the taps of a convolution, whose sumcheck over channels and taps ended at
//! `s` ([`super::affine`]), and public `w_t` for pooling, slicing, padding and concatenation. A
//! public sparse matrix along one axis has
//! `A[x] = sum over entries with from = x of weight * eq(r, to)`.
//!
//! A functional holds what its vectors are made of; they are made where they are needed, so that
//! a dry run of the protocol makes none.

use super::fixed;
use zkstrata_mle::{
    E, Point, PrimeCharacteristicRing, axis_vars, eq_table, mask, signed, tensor_eq, tensor_vars,
};
use zkstrata_model_ir::int::{Entry, Map, MapAxis, TensorId};

/// What happens to consecutive axes of the tensor.
#[derive(Clone, Debug)]
pub(crate) enum Part<'a> {
    /// They are fixed at these coordinates.
    Fixed(Vec<E>),
    /// They are summed with a dense coefficient tensor.
    Summed {
        /// Lengths of the axes.
        axes: Vec<usize>,
        /// Where the coefficients come from.
        coefs: Coefs<'a>,
    },
}

/// What a dense coefficient tensor is made of.
#[derive(Clone, Debug)]
pub(crate) enum Coefs<'a> {
    /// `A` of a window or a matrix.
    Axis {
        /// The window or matrix.
        axis: &'a MapAxis,
        /// Where the sumcheck over the taps ended, if there was one.
        taps: Option<Vec<E>>,
        /// The claim's coordinates of the outputs.
        r: Vec<E>,
    },
    /// `A[x] = sum_{i: map(i) = x} eq(r, i)`
    Gather {
        /// Where every output reads.
        map: &'a [u32],
        /// Axes of the outputs.
        outputs: &'a [usize],
        /// Number of cells that it reads from.
        inputs: usize,
        /// The claim's coordinates of the outputs.
        r: Vec<E>,
    },
}

impl Coefs<'_> {
    /// One coefficient per live cell.
    pub(crate) fn vector(&self) -> Option<Vec<E>> {
        match self {
            Self::Axis { axis, taps, r } => match axis {
                MapAxis::Keep(_) => None,
                MapAxis::Window { .. } => match taps {
                    Some(s) => window_vector(axis, &tensor_eq(&[axis.taps()], s), r),
                    None => window_vector(axis, &vec![E::ONE; axis.taps()], r),
                },
                MapAxis::Matrix {
                    input,
                    output,
                    entries,
                } => matrix_vector(*input, *output, entries, r),
            },
            Self::Gather {
                map,
                outputs,
                inputs,
                r,
            } => {
                let mut coefs = vec![E::ZERO; *inputs];
                for (&x, e) in map.iter().zip(tensor_eq(outputs, r)) {
                    *coefs.get_mut(usize::try_from(x).ok()?)? += e;
                }
                Some(coefs)
            }
        }
    }
}

/// `X -> sum_x prod A(x) X(r, x)`
#[derive(Clone, Debug)]
pub(crate) struct Functional<'a> {
    /// `X`.
    pub(crate) tensor: TensorId,
    /// All axes of `X` in order, the batch first.
    pub(crate) parts: Vec<Part<'a>>,
}

impl Functional<'_> {
    /// Number of summed variables.
    pub(crate) fn vars(&self) -> usize {
        let summed = |part: &Part<'_>| match part {
            Part::Fixed(_) => 0,
            Part::Summed { axes, .. } => tensor_vars(axes),
        };
        self.parts.iter().map(summed).sum()
    }

    /// The fixed coordinates if nothing is summed.
    pub(crate) fn as_point(&self) -> Option<Point> {
        let mut coordinates = Vec::new();
        for part in &self.parts {
            match part {
                Part::Fixed(r) => coordinates.extend_from_slice(r),
                Part::Summed { .. } => return None,
            }
        }
        Some(Point::new(coordinates))
    }

    /// The point of `X` when the sumcheck ended at `s`.
    pub(crate) fn end_point(&self, s: &[E]) -> Option<Point> {
        let mut coordinates = Vec::new();
        let mut rest = s;
        for part in &self.parts {
            match part {
                Part::Fixed(r) => coordinates.extend_from_slice(r),
                Part::Summed { axes, .. } => {
                    let (head, tail) = rest.split_at_checked(tensor_vars(axes))?;
                    coordinates.extend_from_slice(head);
                    rest = tail;
                }
            }
        }
        rest.is_empty().then(|| Point::new(coordinates))
    }

    /// `prod_a A_a(s_a)`
    pub(crate) fn coefficient_at(&self, s: &[E]) -> Option<E> {
        let mut product = E::ONE;
        let mut rest = s;
        for part in &self.parts {
            if let Part::Summed { axes, coefs } = part {
                let (head, tail) = rest.split_at_checked(tensor_vars(axes))?;
                let (eq, coefs) = (tensor_eq(axes, head), coefs.vector()?);
                product *= eq.iter().zip(coefs).map(|(&e, c)| e * c).sum::<E>();
                rest = tail;
            }
        }
        rest.is_empty().then_some(product)
    }
}

/// `A[x] = sum_t w_t sum_{i: x(i,t) = x} c_i eq(r, i)` for the live `x` of one window axis, where
/// `w_t = factors[t] * weight_t`.
pub(crate) fn window_vector(axis: &MapAxis, factors: &[E], r: &[E]) -> Option<Vec<E>> {
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

/// The functional of a claim on a map's output, less what its fill adds to it ([`fill_at`]).
pub(crate) fn of_map<'a>(
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
pub(crate) fn summed<'a>(axis: &'a MapAxis, taps: Option<&[E]>, r: &[E]) -> Part<'a> {
    Part::Summed {
        axes: vec![axis.input()],
        coefs: Coefs::Axis {
            axis,
            taps: taps.map(<[E]>::to_vec),
            r: r.to_vec(),
        },
    }
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
pub(crate) fn fill_at(map: &Map, batch: usize, point: &Point) -> Option<E> {
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

/// The functional of a claim on a gather's output.
pub(crate) fn of_gather<'a>(
    map: &'a [u32],
    batch: usize,
    (tensor, input_axes): (TensorId, &[usize]),
    output_axes: &'a [usize],
    point: &Point,
) -> Option<Functional<'a>> {
    let (r_batch, r) = point.split_at_checked(axis_vars(batch))?;
    let summed = Part::Summed {
        axes: input_axes.to_vec(),
        coefs: Coefs::Gather {
            map,
            outputs: output_axes,
            inputs: input_axes.iter().product(),
            r: r.to_vec(),
        },
    };
    Some(Functional {
        tensor,
        parts: vec![fixed(r_batch), summed],
    })
}
