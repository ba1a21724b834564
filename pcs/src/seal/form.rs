//! Affine forms in the values that a sealed verification does not know.
//!
//! The unknowns are the values that pads hide, numbered as the pads are: a message, or an answer, is
//! what was received for it less its pad; those of the triple are pads themselves. A form is
//! `constant + scale x`, where `x` is an unknown or a *node*, a sum of two terms `scale x` that
//! stands in the book. So nothing is recorded when a form is scaled, or a constant added; nodes
//! have no constants, and refer to unknowns and to nodes before them. The coefficients of all
//! unknowns in `sum_k w_k form_k` are therefore one pass backwards over the book: a node of weight
//! `w` adds `w scale` to what its two terms refer to.

use super::SealPlan;
use crate::channel::Scalar;
use std::ops::{Add, Mul, Sub};
use std::sync::{Mutex, MutexGuard, PoisonError};
use zkstrata_mle::{E, PrimeCharacteristicRing};

/// `scale x`, `x` the unknown or node `at`.
#[derive(Clone, Copy)]
struct Term {
    at: usize,
    scale: E,
}

/// The nodes of a sealed verification. Its scalars refer to it.
pub struct Book {
    plan: SealPlan,
    nodes: Mutex<Vec<[Term; 2]>>,
}

/// A scalar of a sealed verification: an affine form in what it does not know.
#[derive(Clone, Copy)]
pub struct Sealed<'b> {
    book: &'b Book,
    constant: E,
    term: Term,
}

impl Book {
    /// An empty book for a verification of this plan.
    pub fn new(plan: SealPlan) -> Self {
        Self {
            plan,
            nodes: Mutex::default(),
        }
    }

    /// The plan.
    pub fn plan(&self) -> &SealPlan {
        &self.plan
    }

    pub(super) fn constant(&self, value: E) -> Sealed<'_> {
        self.form(value, 0, E::ZERO)
    }

    pub(super) fn unknown(&self, i: usize) -> Sealed<'_> {
        self.form(E::ZERO, i, E::ONE)
    }

    fn form(&self, constant: E, at: usize, scale: E) -> Sealed<'_> {
        Sealed {
            book: self,
            constant,
            term: Term { at, scale },
        }
    }

    fn nodes(&self) -> MutexGuard<'_, Vec<[Term; 2]>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sum of two terms as one.
    fn sum(&self, a: Term, b: Term) -> Term {
        if b.scale == E::ZERO {
            return a;
        }
        if a.scale == E::ZERO {
            return b;
        }
        let mut nodes = self.nodes();
        let at = self.plan.pads() + nodes.len();
        nodes.push([a, b]);
        Term { at, scale: E::ONE }
    }

    /// The weighted sum of forms: its constant, and the coefficients of all unknowns.
    pub(super) fn combine<'b>(
        &self,
        forms: impl IntoIterator<Item = (Sealed<'b>, E)>,
    ) -> (E, Vec<E>) {
        let nodes = self.nodes();
        let mut weights = vec![E::ZERO; self.plan.pads() + nodes.len()];
        // What a form or node refers to exists: it was there before.
        let add = |weights: &mut [E], term: Term, weight: E| {
            if let Some(own) = weights.get_mut(term.at) {
                *own += weight * term.scale;
            }
        };
        let mut constant = E::ZERO;
        for (form, weight) in forms {
            constant += weight * form.constant;
            add(&mut weights, form.term, weight);
        }
        for &[a, b] in nodes.iter().rev() {
            let weight = weights.pop().unwrap_or(E::ZERO);
            if weight != E::ZERO {
                add(&mut weights, a, weight);
                add(&mut weights, b, weight);
            }
        }
        (constant, weights)
    }
}

/// `x factor`; most constants are 0 and most scales are 1.
fn times(x: E, factor: E) -> E {
    if x == E::ZERO {
        x
    } else if x == E::ONE {
        factor
    } else {
        x * factor
    }
}

impl Add for Sealed<'_> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        debug_assert!(std::ptr::eq(self.book, other.book), "scalars of two books");
        Self {
            book: self.book,
            constant: self.constant + other.constant,
            term: self.book.sum(self.term, other.term),
        }
    }
}

impl Sub for Sealed<'_> {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        let Term { at, scale } = other.term;
        let scale = -scale;
        self + Self {
            book: other.book,
            constant: -other.constant,
            term: Term { at, scale },
        }
    }
}

impl Mul<E> for Sealed<'_> {
    type Output = Self;

    fn mul(mut self, factor: E) -> Self {
        self.constant = times(self.constant, factor);
        self.term.scale = times(self.term.scale, factor);
        self
    }
}

impl Scalar for Sealed<'_> {}
