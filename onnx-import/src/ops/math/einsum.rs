//! Einsum: diagonals first, then sums over labels that nothing else needs, then products from left
//! to right.

use std::collections::{BTreeMap, BTreeSet};

use zkstrata_model_ir::float::{Op, ValueId};

use crate::Error;
use crate::decode::tensor::{MAX_RANK, count};
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::Value;
use crate::write::Writer;
use crate::write::formula::Formula;
use crate::write::index::{strided, strides};

/// Labels of the axes that an ellipsis stands for, counted from the last; above all letters.
const ELLIPSIS: usize = 1 << 8;

/// One operand with the labels of its axes.
struct Factor {
    value: ValueId,
    labels: Vec<usize>,
}

/// The labels of a term for a tensor of `rank` axes.
fn labels(node: &Node, term: &str, rank: usize) -> Result<Vec<usize>, Error> {
    let bad = || node.bad_attribute("equation", format!("`{term}` does not fit {rank} axes"));
    let (before, after) = match term.split_once("...") {
        None => (term, None),
        Some((before, after)) => (before, Some(after)),
    };
    let letters = |part: &str| -> Option<Vec<usize>> {
        let letter = |c: char| c.is_ascii_alphabetic().then_some(c as usize);
        part.chars().map(letter).collect()
    };
    let mut labels = letters(before).ok_or_else(bad)?;
    if let Some(after) = after {
        let after = letters(after).ok_or_else(bad)?;
        let dots = rank
            .checked_sub(labels.len() + after.len())
            .ok_or_else(bad)?;
        labels.extend((0..dots).rev().map(|i| ELLIPSIS + i));
        labels.extend(after);
    }
    if labels.len() != rank {
        return Err(bad());
    }
    Ok(labels)
}

/// The labels of the result: those given, or those that occur once, in order, after the ellipsis.
fn result(node: &Node, given: Option<&str>, inputs: &[Vec<usize>]) -> Result<Vec<usize>, Error> {
    let all = || inputs.iter().flatten().copied();
    let dots: BTreeSet<usize> = all().filter(|&l| l >= ELLIPSIS).collect();
    let output = if let Some(term) = given {
        let letters = term.replace("...", "").chars().count();
        let dots = if term.contains("...") { dots.len() } else { 0 };
        labels(node, term, letters + dots)?
    } else {
        let letters: BTreeSet<usize> = all().filter(|&l| l < ELLIPSIS).collect();
        let single = |l: &usize| all().filter(|m| m == l).count() == 1;
        let dots = dots.iter().rev().copied();
        dots.chain(letters.iter().copied().filter(single)).collect()
    };
    for (i, label) in output.iter().enumerate() {
        if output[..i].contains(label) || !all().any(|l| l == *label) {
            return Err(node.bad_attribute(
                "equation",
                "its result has an index twice, or one that no operand has",
            ));
        }
    }
    Ok(output)
}

/// The equation's sum of products.
pub(crate) fn einsum(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let Some(equation) = node.string("equation")? else {
        return Err(node.bad_attribute("equation", "is missing"));
    };
    let equation: String = equation.chars().filter(|c| *c != ' ').collect();
    let (terms, given) = match equation.split_once("->") {
        None => (equation.as_str(), None),
        Some((terms, given)) => (terms, Some(given)),
    };
    let terms: Vec<&str> = terms.split(',').collect();
    if terms.len() != node.input_count() {
        let (terms, inputs) = (terms.len(), node.input_count());
        return Err(node.bad_attribute(
            "equation",
            format!("has {terms} terms for {inputs} operands"),
        ));
    }
    let mut operands = Vec::new();
    for (i, term) in terms.iter().enumerate() {
        let value = writer.activation(node, i)?;
        let labels = labels(node, term, writer.shape(value).len())?;
        operands.push((value, labels));
    }
    let inputs: Vec<Vec<usize>> = operands.iter().map(|(_, l)| l.clone()).collect();
    let output = result(node, given, &inputs)?;
    let mut f = Formula::new(node, writer);
    check_lengths(&f, &operands)?;
    let mut factors = Vec::new();
    for (i, (value, labels)) in operands.into_iter().enumerate() {
        let factor = diagonal(&mut f, value, &labels)?;
        let others = inputs.iter().enumerate().filter(|(j, _)| *j != i);
        let mut needed: BTreeSet<usize> = others.flat_map(|(_, l)| l).copied().collect();
        needed.extend(&output);
        factors.push(summed(&mut f, factor, &needed)?);
    }
    let mut rest = factors.into_iter();
    let mut made = rest
        .next()
        .ok_or_else(|| node.shape_error("Einsum without operands"))?;
    for (i, factor) in (1..).zip(rest) {
        let later = inputs.iter().skip(i + 1).flatten().copied();
        let needed: BTreeSet<usize> = later.chain(output.iter().copied()).collect();
        made = joined(&mut f, made, factor, &needed)?;
    }
    let place = |label: &usize| made.labels.iter().position(|l| l == label);
    let perm: Option<Vec<usize>> = output.iter().map(place).collect();
    let perm = perm.ok_or_else(|| node.shape_error("an index of the result has no axis"))?;
    one(Value::Activation(f.transpose(made.value, perm)?))
}

/// Refuses an index of two lengths, neither of them 1.
fn check_lengths(f: &Formula, operands: &[(ValueId, Vec<usize>)]) -> Result<(), Error> {
    let mut lengths: BTreeMap<usize, usize> = BTreeMap::new();
    for (value, labels) in operands {
        for (&label, n) in labels.iter().zip(f.shape(*value)) {
            let known = lengths.entry(label).or_insert(n);
            if *known == 1 {
                *known = n;
            }
            if n != 1 && n != *known {
                return Err(f.node.shape_error(format!(
                    "an index of its equation has the lengths {known} and {n}"
                )));
            }
        }
    }
    Ok(())
}

/// The operand with each label once: the cells at which axes of one label agree.
fn diagonal(f: &mut Formula, value: ValueId, labels: &[usize]) -> Result<Factor, Error> {
    let shape = f.shape(value);
    let mut kept: Vec<usize> = Vec::new();
    let (mut lengths, mut steps) = (Vec::new(), Vec::new());
    for ((&label, &n), step) in labels.iter().zip(&shape).zip(strides(&shape)) {
        match kept.iter().position(|l| *l == label) {
            None => {
                kept.push(label);
                lengths.push(n);
                steps.push(step);
            }
            Some(i) if lengths[i] == n => steps[i] += step,
            Some(_) => {
                return Err(f
                    .node
                    .shape_error("a diagonal of axes of different lengths"));
            }
        }
    }
    let value = if kept.len() == labels.len() {
        value
    } else {
        f.writer.allow(f.node, count(&lengths))?;
        let indices = strided(&lengths, steps, 0).map(|i| i as u32).collect();
        let shape = lengths;
        f.put(Op::Take { indices, shape }, &[value])?
    };
    Ok(Factor {
        value,
        labels: kept,
    })
}

/// The sum over the labels that are not needed.
fn summed(f: &mut Formula, factor: Factor, needed: &BTreeSet<usize>) -> Result<Factor, Error> {
    let Factor { value, labels } = factor;
    let axes = labels
        .iter()
        .enumerate()
        .filter(|(_, l)| !needed.contains(l));
    let axes: BTreeSet<usize> = axes.map(|(axis, _)| axis).collect();
    if axes.is_empty() {
        return Ok(Factor { value, labels });
    }
    let value = f.sum(value, &axes)?;
    let kept = |axis: &usize| !axes.contains(axis);
    let shape = f.shape(value);
    let shape = (0..labels.len())
        .filter(kept)
        .map(|axis| shape[axis])
        .collect();
    let value = f.reshape(value, shape)?;
    let labels = (0..labels.len())
        .filter(kept)
        .map(|axis| labels[axis])
        .collect();
    Ok(Factor { value, labels })
}

/// The product of two operands, summed over the labels that are not needed.
fn joined(
    f: &mut Formula,
    mut a: Factor,
    mut b: Factor,
    needed: &BTreeSet<usize>,
) -> Result<Factor, Error> {
    // An index that is repeated in one operand and summed is summed in the other alone.
    let lengths = |f: &Formula, x: &Factor| -> BTreeMap<usize, usize> {
        x.labels.iter().copied().zip(f.shape(x.value)).collect()
    };
    let (of_a, of_b) = (lengths(f, &a), lengths(f, &b));
    let uneven = |l: &usize| {
        let lengths = (of_a.get(l), of_b.get(l));
        matches!(lengths, (Some(m), Some(n)) if m != n) && !needed.contains(l)
    };
    for x in [&mut a, &mut b] {
        let axes = x.labels.iter().enumerate().filter(|(_, l)| uneven(l));
        let axes: BTreeSet<usize> = axes.map(|(axis, _)| axis).collect();
        x.value = f.sum(x.value, &axes)?;
    }
    let mut all = a.labels.clone();
    all.extend(b.labels.iter().filter(|l| !a.labels.contains(l)));
    let labels: Vec<usize> = all.into_iter().filter(|l| needed.contains(l)).collect();
    if labels.len() > MAX_RANK {
        return Err(f.node.shape_error("a product has too many axes"));
    }
    let value = f.contract((a.value, &a.labels), (b.value, &b.labels), &labels)?;
    Ok(Factor { value, labels })
}
