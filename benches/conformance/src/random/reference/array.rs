//! Operators that move cells.

use super::elementwise::within;
use super::{Call, Results, axis, one};
use crate::random::graph::Attribute;
use crate::random::tensor::{Tensor, Type, broadcast, indices, offset};

pub(super) fn run(call: &Call<'_>) -> Results {
    let node = call.node;
    match &*node.op {
        "Concat" => one(concat(call)?),
        "ConstantOfShape" => {
            let shape = sizes(call.x(0)?);
            let (kind, cell) = match node.attribute("value") {
                Some(Attribute::Tensor(t)) => (t.kind, t.cells[0]),
                _ => (Type::Float, 0.0),
            };
            one(Tensor::build(kind, &shape, |_| cell))
        }
        "Constant" => match node.attribute("value") {
            Some(Attribute::Tensor(t)) => one(t.clone()),
            _ => Err("a constant of another kind".into()),
        },
        "DepthToSpace" | "SpaceToDepth" => one(blocks(call)?),
        "Expand" => {
            let x = call.x(0)?;
            let wanted = sizes(call.x(1)?);
            let shape = broadcast(&[&x.shape, &wanted]).ok_or("shapes")?;
            one(Tensor::build(x.kind, &shape, |i| x.spread(i)))
        }
        "EyeLike" => {
            let x = call.x(0)?;
            let k = node.int("k", 0);
            let kind = Type::of(node.int("dtype", x.kind.code().into())).ok_or("type")?;
            one(Tensor::build(kind, &x.shape, |i| {
                f64::from(u8::from(i[1] as i64 - i[0] as i64 == k))
            }))
        }
        "Flatten" => {
            let x = call.x(0)?;
            let at = node.int("axis", 1);
            let at = if at < 0 { at + x.rank() as i64 } else { at } as usize;
            let first: usize = x.shape[..at].iter().product();
            one(Tensor::new(
                x.kind,
                &[first, x.len() / first],
                x.cells.clone(),
            ))
        }
        "Gather" => one(gather(call)?),
        "GatherElements" => {
            let (x, at) = (call.x(0)?, call.x(1)?);
            let axis = call.axis(0, x.rank())?;
            one(Tensor::build(x.kind, &at.shape, |i| {
                let mut index = i.to_vec();
                index[axis] = counted(at.at(i), x.shape[axis]);
                x.at(&index)
            }))
        }
        "GatherND" => one(gather_nd(call)?),
        "OneHot" => one(one_hot(call)?),
        "Pad" => one(pad(call)?),
        "Range" => {
            let (start, limit, step) = (call.x(0)?, call.x(1)?.cells[0], call.x(2)?.cells[0]);
            let first = start.cells[0];
            let count = ((limit - first) / step).ceil().max(0.0) as usize;
            let cells = (0..count).map(|i| first + i as f64 * step).collect();
            one(Tensor::new(start.kind, &[count], cells))
        }
        "Reshape" => one(reshape(call)?),
        "Resize" => one(resize(call)?),
        "ReverseSequence" => one(reverse(call)?),
        "ScatterElements" => within(scatter_elements(call)?),
        "ScatterND" => within(scatter_nd(call)?),
        "Shape" => {
            let x = call.x(0)?;
            let shape: Vec<i64> = x.shape.iter().map(|&n| n as i64).collect();
            let clip = |i: i64| {
                (if i < 0 { i + shape.len() as i64 } else { i }).clamp(0, shape.len() as i64)
                    as usize
            };
            let (start, end) = (
                clip(node.int("start", 0)),
                clip(node.int("end", shape.len() as i64)),
            );
            one(Tensor::list(&shape[start..end.max(start)]))
        }
        "Size" => one(Tensor::scalar(Type::Int64, call.x(0)?.len() as f64)),
        "Slice" => one(slice(call)?),
        "Split" => Ok(Some(split(call)?)),
        "Squeeze" => {
            let x = call.x(0)?;
            let mut drop = vec![false; x.rank()];
            match call.maybe(1) {
                Some(axes) => {
                    for a in axes.ints() {
                        drop[axis(a, x.rank())?] = true;
                    }
                }
                None => drop = x.shape.iter().map(|&n| n == 1).collect(),
            }
            let shape = (0..x.rank()).filter(|&a| !drop[a]).map(|a| x.shape[a]);
            one(Tensor::new(
                x.kind,
                &shape.collect::<Vec<_>>(),
                x.cells.clone(),
            ))
        }
        "Unsqueeze" => {
            let (x, axes) = (call.x(0)?, call.x(1)?.ints());
            let rank = x.rank() + axes.len();
            let mut new = vec![false; rank];
            for a in axes {
                new[axis(a, rank)?] = true;
            }
            let mut old = x.shape.iter();
            let shape: Vec<usize> = new
                .iter()
                .map(|&new| {
                    if new {
                        1
                    } else {
                        *old.next().expect("as many")
                    }
                })
                .collect();
            one(Tensor::new(x.kind, &shape, x.cells.clone()))
        }
        "Tile" => {
            let (x, times) = (call.x(0)?, sizes(call.x(1)?));
            let shape: Vec<usize> = x.shape.iter().zip(&times).map(|(a, b)| a * b).collect();
            one(Tensor::build(x.kind, &shape, |i| {
                let index: Vec<usize> = i.iter().zip(&x.shape).map(|(i, n)| i % n).collect();
                x.at(&index)
            }))
        }
        "Transpose" => one(transpose(call)?),
        "Trilu" => {
            let x = call.x(0)?;
            let k = call.maybe(1).map_or(0, |k| k.ints()[0]);
            let upper = node.int("upper", 1) == 1;
            one(Tensor::build(x.kind, &x.shape, |i| {
                let [.., row, column] = i else {
                    return f64::NAN;
                };
                let above = *column as i64 - *row as i64;
                let keep = if upper { above >= k } else { above <= k };
                if keep { x.at(i) } else { 0.0 }
            }))
        }
        "Compress" => one(compress(call)?),
        _ => Ok(None),
    }
}

pub(super) fn sizes(x: &Tensor) -> Vec<usize> {
    x.cells.iter().map(|&n| n as usize).collect()
}

/// An index that may count from the end.
fn counted(i: f64, n: usize) -> usize {
    (if i < 0.0 { i + n as f64 } else { i }) as usize
}

fn concat(call: &Call<'_>) -> Result<Tensor, String> {
    let parts = call.all();
    let first = parts[0];
    if parts.iter().any(|x| x.kind != first.kind) {
        return Err("types".into());
    }
    let axis = call.axis(0, first.rank())?;
    let mut shape = first.shape.clone();
    shape[axis] = parts.iter().map(|x| x.shape[axis]).sum();
    Ok(Tensor::build(first.kind, &shape, |i| {
        let mut index = i.to_vec();
        for part in &parts {
            if index[axis] < part.shape[axis] {
                return part.at(&index);
            }
            index[axis] -= part.shape[axis];
        }
        f64::NAN
    }))
}

fn blocks(call: &Call<'_>) -> Result<Tensor, String> {
    let x = call.x(0)?;
    let b = call.node.int("blocksize", 1) as usize;
    let [n, c, h, w] = x.shape[..] else {
        return Err("rank".into());
    };
    let columns_first = call.node.text("mode") == Some("CRD");
    if call.node.op == "SpaceToDepth" {
        return Ok(Tensor::build(x.kind, &[n, c * b * b, h / b, w / b], |i| {
            let (block, channel) = (i[1] / c, i[1] % c);
            x.at(&[i[0], channel, i[2] * b + block / b, i[3] * b + block % b])
        }));
    }
    let deep = c / (b * b);
    Ok(Tensor::build(x.kind, &[n, deep, h * b, w * b], |i| {
        let (row, column) = (i[2] % b, i[3] % b);
        let channel = if columns_first {
            i[1] * b * b + row * b + column
        } else {
            (row * b + column) * deep + i[1]
        };
        x.at(&[i[0], channel, i[2] / b, i[3] / b])
    }))
}

fn gather(call: &Call<'_>) -> Result<Tensor, String> {
    let (x, at) = (call.x(0)?, call.x(1)?);
    let axis = call.axis(0, x.rank())?;
    let shape = [&x.shape[..axis], &at.shape, &x.shape[axis + 1..]].concat();
    Ok(Tensor::build(x.kind, &shape, |i| {
        let place = at.at(&i[axis..axis + at.rank()]);
        let mut index = i[..axis].to_vec();
        index.push(counted(place, x.shape[axis]));
        index.extend(&i[axis + at.rank()..]);
        x.at(&index)
    }))
}

fn gather_nd(call: &Call<'_>) -> Result<Tensor, String> {
    let (x, at) = (call.x(0)?, call.x(1)?);
    let batch = call.node.int("batch_dims", 0) as usize;
    let (last, lead) = at.shape.split_last().ok_or("rank")?;
    let shape = [lead, &x.shape[batch + last..]].concat();
    Ok(Tensor::build(x.kind, &shape, |i| {
        let mut index = i[..batch].to_vec();
        for k in 0..*last {
            let mut place = i[..lead.len()].to_vec();
            place.push(k);
            index.push(counted(at.at(&place), x.shape[batch + k]));
        }
        index.extend(&i[lead.len()..]);
        x.at(&index)
    }))
}

fn one_hot(call: &Call<'_>) -> Result<Tensor, String> {
    let (at, depth, values) = (call.x(0)?, call.x(1)?.cells[0] as usize, call.x(2)?);
    let axis = call.axis(-1, at.rank() + 1)?;
    let mut shape = at.shape.clone();
    shape.insert(axis, depth);
    Ok(Tensor::build(values.kind, &shape, |i| {
        let mut index = i.to_vec();
        let place = index.remove(axis);
        let x = at.at(&index);
        let x = if x < 0.0 { x + depth as f64 } else { x };
        values.cells[usize::from(x == place as f64)]
    }))
}

fn pad(call: &Call<'_>) -> Result<Tensor, String> {
    let (x, pads) = (call.x(0)?, call.x(1)?.ints());
    if call.maybe(2).is_some_and(|v| v.kind != x.kind) {
        return Err("types".into());
    }
    let value = call.maybe(2).map_or(0.0, |v| v.cells[0]);
    let axes: Vec<usize> = match call.maybe(3) {
        Some(axes) => axes
            .ints()
            .iter()
            .map(|&a| axis(a, x.rank()))
            .collect::<Result<_, _>>()?,
        None => (0..x.rank()).collect(),
    };
    let mode = call.node.text("mode").unwrap_or("constant");
    let (mut before, mut shape) = (vec![0; x.rank()], x.shape.clone());
    for (k, &a) in axes.iter().enumerate() {
        before[a] = pads[k];
        shape[a] = usize::try_from(shape[a] as i64 + pads[k] + pads[k + axes.len()])
            .map_err(|e| e.to_string())?;
    }
    Ok(Tensor::build(x.kind, &shape, |i| {
        let mut index = Vec::new();
        for a in 0..x.rank() {
            let n = x.shape[a] as i64;
            let at = i[a] as i64 - before[a];
            let inside = match mode {
                "edge" => at.clamp(0, n - 1),
                "reflect" if n == 1 => 0,
                "reflect" => {
                    let period = 2 * (n - 1);
                    let at = at.rem_euclid(period);
                    at.min(period - at)
                }
                "wrap" => at.rem_euclid(n),
                _ if (0..n).contains(&at) => at,
                _ => return value,
            };
            index.push(inside as usize);
        }
        x.at(&index)
    }))
}

fn reshape(call: &Call<'_>) -> Result<Tensor, String> {
    let (x, wanted) = (call.x(0)?, call.x(1)?.ints());
    let zero = call.node.int("allowzero", 0) == 1;
    let mut shape: Vec<usize> = Vec::new();
    for (a, &n) in wanted.iter().enumerate() {
        shape.push(match n {
            0 if !zero => x.shape[a],
            -1 => 1,
            n => n as usize,
        });
    }
    if let Some(a) = wanted.iter().position(|&n| n == -1) {
        shape[a] = x.len() / shape.iter().product::<usize>();
    }
    if shape.iter().product::<usize>() != x.len() {
        return Err("cells".into());
    }
    Ok(Tensor::new(x.kind, &shape, x.cells.clone()))
}

/// Nearest or linear, by scales or sizes for all axes.
fn resize(call: &Call<'_>) -> Result<Tensor, String> {
    let x = call.x(0)?;
    let scales: Vec<f64> = match (call.maybe(2), call.maybe(3)) {
        (_, Some(sizes)) => sizes
            .cells
            .iter()
            .zip(&x.shape)
            .map(|(&to, &from)| to / from as f64)
            .collect(),
        (Some(scales), None) => scales.cells.clone(),
        _ => return Err("neither scales nor sizes".into()),
    };
    let shape: Vec<usize> = match call.maybe(3) {
        Some(to) => sizes(to),
        None => x
            .shape
            .iter()
            .zip(&scales)
            .map(|(&n, s)| (n as f64 * s).floor() as usize)
            .collect(),
    };
    let transform = call
        .node
        .text("coordinate_transformation_mode")
        .unwrap_or("half_pixel");
    let rounding = call
        .node
        .text("nearest_mode")
        .unwrap_or("round_prefer_floor");
    let linear = call.node.text("mode") == Some("linear");
    let source = |a: usize, i: usize| {
        let (i, from, to) = (i as f64, x.shape[a] as f64, shape[a] as f64);
        match transform {
            "asymmetric" => i / scales[a],
            "align_corners" if to == 1.0 => 0.0,
            "align_corners" => i * (from - 1.0) / (to - 1.0),
            "pytorch_half_pixel" if to <= 1.0 => 0.0,
            _ => (i + 0.5) / scales[a] - 0.5,
        }
    };
    Ok(Tensor::build(x.kind, &shape, |i| {
        let mut terms = vec![(1.0, Vec::new())];
        for a in 0..x.rank() {
            let at = source(a, i[a]);
            let most = (x.shape[a] - 1) as f64;
            let taps: Vec<(f64, usize)> = if linear {
                let low = at.floor();
                let part = at - low;
                let tap = |at: f64| at.clamp(0.0, most) as usize;
                vec![(1.0 - part, tap(low)), (part, tap(low + 1.0))]
            } else {
                let at = match rounding {
                    "round_prefer_ceil" => (at + 0.5).floor(),
                    "floor" => at.floor(),
                    "ceil" => at.ceil(),
                    _ => (at - 0.5).ceil(),
                };
                vec![(1.0, at.clamp(0.0, most) as usize)]
            };
            terms = terms
                .iter()
                .flat_map(|(w, index): &(f64, Vec<usize>)| {
                    taps.iter().map(move |&(v, place)| {
                        let mut index = index.clone();
                        index.push(place);
                        (w * v, index)
                    })
                })
                .collect();
        }
        terms.iter().map(|(w, index)| w * x.at(index)).sum()
    }))
}

fn reverse(call: &Call<'_>) -> Result<Tensor, String> {
    let (x, lengths) = (call.x(0)?, call.x(1)?);
    let batch = call.node.int("batch_axis", 1) as usize;
    let time = call.node.int("time_axis", 0) as usize;
    Ok(Tensor::build(x.kind, &x.shape, |i| {
        let length = lengths.cells[i[batch]] as usize;
        let mut index = i.to_vec();
        if index[time] < length {
            index[time] = length - 1 - index[time];
        }
        x.at(&index)
    }))
}

fn combined(reduction: &str, old: f64, new: f64) -> f64 {
    match reduction {
        "add" => old + new,
        "mul" => old * new,
        "max" => old.max(new),
        "min" => old.min(new),
        _ => new,
    }
}

fn scatter_elements(call: &Call<'_>) -> Result<Tensor, String> {
    let (x, at, updates) = (call.x(0)?, call.x(1)?, call.x(2)?);
    let axis = call.axis(0, x.rank())?;
    let reduction = call.node.text("reduction").unwrap_or("none");
    let mut y = x.clone();
    for i in indices(&at.shape) {
        let mut index = i.clone();
        index[axis] = counted(at.at(&i), x.shape[axis]);
        let cell = &mut y.cells[offset(&x.shape, &index)];
        *cell = combined(reduction, *cell, updates.at(&i));
    }
    Ok(y)
}

fn scatter_nd(call: &Call<'_>) -> Result<Tensor, String> {
    let (x, at, updates) = (call.x(0)?, call.x(1)?, call.x(2)?);
    let reduction = call.node.text("reduction").unwrap_or("none");
    let (last, lead) = at.shape.split_last().ok_or("rank")?;
    let mut y = x.clone();
    for i in indices(lead) {
        let mut start = Vec::new();
        for k in 0..*last {
            let place = [&i[..], &[k]].concat();
            start.push(counted(at.at(&place), x.shape[k]));
        }
        for rest in indices(&x.shape[*last..]) {
            let cell = &mut y.cells[offset(&x.shape, &[&start[..], &rest].concat())];
            let update = updates.at(&[&i[..], &rest].concat());
            *cell = combined(reduction, *cell, update);
        }
    }
    Ok(y)
}

fn slice(call: &Call<'_>) -> Result<Tensor, String> {
    let x = call.x(0)?;
    let (starts, ends) = (call.x(1)?.ints(), call.x(2)?.ints());
    let axes: Vec<i64> = match call.maybe(3) {
        Some(axes) => axes.ints(),
        None => (0..starts.len() as i64).collect(),
    };
    let steps = call.maybe(4).map_or(vec![1; starts.len()], Tensor::ints);
    let mut places: Vec<Vec<usize>> = x.shape.iter().map(|&n| (0..n).collect()).collect();
    for (k, &a) in axes.iter().enumerate() {
        let a = axis(a, x.rank())?;
        let n = x.shape[a] as i64;
        let from_end = |i: i64| if i < 0 { i.saturating_add(n) } else { i };
        let (start, end) = (from_end(starts[k]), from_end(ends[k]));
        let mut list = Vec::new();
        if steps[k] > 0 {
            let (mut i, end) = (start.clamp(0, n), end.clamp(0, n));
            while i < end {
                list.push(i as usize);
                i += steps[k];
            }
        } else {
            let (mut i, end) = (start.clamp(0, n - 1), end.clamp(-1, n - 1));
            while i > end {
                list.push(i as usize);
                i += steps[k];
            }
        }
        places[a] = list;
    }
    let shape: Vec<usize> = places.iter().map(Vec::len).collect();
    Ok(Tensor::build(x.kind, &shape, |i| {
        let index: Vec<usize> = i.iter().zip(&places).map(|(&i, p)| p[i]).collect();
        x.at(&index)
    }))
}

fn split(call: &Call<'_>) -> Result<Vec<Tensor>, String> {
    let x = call.x(0)?;
    let axis = call.axis(0, x.rank())?;
    let lengths: Vec<usize> = match call.maybe(1) {
        Some(lengths) => sizes(lengths),
        None => {
            let parts = call.node.outputs.len();
            let each = x.shape[axis].div_ceil(parts);
            (0..parts)
                .map(|k| each.min(x.shape[axis].saturating_sub(k * each)))
                .collect()
        }
    };
    let mut start = 0;
    let part = |n: usize| {
        let mut shape = x.shape.clone();
        shape[axis] = n;
        let from = start;
        start += n;
        Tensor::build(x.kind, &shape, |i| {
            let mut index = i.to_vec();
            index[axis] += from;
            x.at(&index)
        })
    };
    Ok(lengths.into_iter().map(part).collect())
}

fn transpose(call: &Call<'_>) -> Result<Tensor, String> {
    let x = call.x(0)?;
    let perm: Vec<usize> = match call.node.ints("perm") {
        Some(perm) => perm.iter().map(|&a| a as usize).collect(),
        None => (0..x.rank()).rev().collect(),
    };
    let shape: Vec<usize> = perm.iter().map(|&a| x.shape[a]).collect();
    Ok(Tensor::build(x.kind, &shape, |i| {
        let mut index = vec![0; x.rank()];
        for (&a, &i) in perm.iter().zip(i) {
            index[a] = i;
        }
        x.at(&index)
    }))
}

fn compress(call: &Call<'_>) -> Result<Tensor, String> {
    let (x, keep) = (call.x(0)?, call.x(1)?);
    let places: Vec<usize> = (0..keep.len()).filter(|&i| keep.cells[i] != 0.0).collect();
    if call.node.attribute("axis").is_none() {
        let cells = places.iter().map(|&i| x.cells[i]).collect();
        return Ok(Tensor::new(x.kind, &[places.len()], cells));
    }
    let axis = call.axis(0, x.rank())?;
    let mut shape = x.shape.clone();
    shape[axis] = places.len();
    Ok(Tensor::build(x.kind, &shape, |i| {
        let mut index = i.to_vec();
        index[axis] = places[index[axis]];
        x.at(&index)
    }))
}
