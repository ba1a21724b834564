//! The sliding windows of Conv and the pools, from strides, dilations, pads and `auto_pad`.
//!
//! With `eff = dilation (kernel - 1) + 1` an axis of `n` elements has
//! `floor((n + pad_begin + pad_end - eff) / stride) + 1` outputs, and `ceil` instead of `floor`
//! for `ceil_mode`, except that no window starts behind the input and its padding before.

use zkstrata_model_ir::float::Window;

use crate::Error;
use crate::scope::node::Node;

/// Largest kernel, stride, dilation or padding.
pub(crate) const MAX: i64 = 1 << 24;

/// Whether the last window may reach beyond the declared padding.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// It may not.
    Floor,
    /// It may (`ceil_mode`).
    Ceil,
}

/// How much padding an axis gets.
#[derive(Clone, Copy)]
enum Padding {
    Explicit(usize, usize),
    SameUpper,
    SameLower,
}

/// A window and how much of its `pad_end` `ceil_mode` added.
#[derive(Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) window: Window,
    pub(crate) ceil_extra: usize,
}

/// Reads the attributes that place a window of `kernel` taps on each axis of `spatial`.
pub(crate) fn windows(
    node: &Node,
    spatial: &[usize],
    kernel: &[usize],
    rounding: Rounding,
) -> Result<Vec<Placed>, Error> {
    let rank = spatial.len();
    if kernel.len() != rank {
        return Err(node.shape_error(format!(
            "a kernel of {} axes does not fit {rank} spatial axes",
            kernel.len()
        )));
    }
    let strides = list(node, "strides", rank, 1, 1)?;
    let dilations = list(node, "dilations", rank, 1, 1)?;
    let pads = list(node, "pads", 2 * rank, 0, 0)?;
    let auto_pad = node.string("auto_pad")?.unwrap_or("NOTSET");
    let padded = pads.iter().any(|&p| p > 0);
    if auto_pad != "NOTSET" && padded {
        return Err(node.bad_attribute("pads", format!("contradicts auto_pad {auto_pad}")));
    }
    let axis = |i: usize| {
        let padding = match auto_pad {
            "NOTSET" | "VALID" => Padding::Explicit(pads[i], pads[rank + i]),
            "SAME_UPPER" => Padding::SameUpper,
            "SAME_LOWER" => Padding::SameLower,
            other => return Err(node.bad_attribute("auto_pad", format!("is `{other}`"))),
        };
        place(
            spatial[i],
            kernel[i],
            strides[i],
            dilations[i],
            padding,
            rounding,
        )
        .map_err(|reason| node.shape_error(reason))
    };
    (0..rank).map(axis).collect()
}

/// Reads the attribute `kernel_shape`.
pub(crate) fn kernel_shape(node: &Node) -> Result<Option<Vec<usize>>, Error> {
    match node.ints("kernel_shape")? {
        None => Ok(None),
        Some(kernel) => list(node, "kernel_shape", kernel.len(), 1, 1).map(Some),
    }
}

/// Reads a list of `length` integers of at least `least`; all `default` if it is absent.
pub(crate) fn list(
    node: &Node,
    name: &str,
    length: usize,
    least: i64,
    default: usize,
) -> Result<Vec<usize>, Error> {
    let Some(list) = node.ints(name)? else {
        return Ok(vec![default; length]);
    };
    if list.len() != length || !list.iter().all(|n| (least..=MAX).contains(n)) {
        return Err(node.bad_attribute(
            name,
            format!("is {list:?}, expected {length} integers from {least} to {MAX}"),
        ));
    }
    Ok(list.iter().map(|&n| n as usize).collect())
}

fn place(
    n: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    padding: Padding,
    rounding: Rounding,
) -> Result<Placed, String> {
    let extent = dilation * (kernel - 1) + 1;
    let same = || ((n.div_ceil(stride) - 1) * stride + extent).saturating_sub(n);
    let (pad_begin, pad_end, rounding) = match padding {
        Padding::Explicit(begin, end) => (begin, end, rounding),
        Padding::SameUpper => (same() / 2, same().div_ceil(2), Rounding::Floor),
        Padding::SameLower => (same().div_ceil(2), same() / 2, Rounding::Floor),
    };
    let mut window = Window {
        kernel,
        stride,
        dilation,
        pad_begin,
        pad_end,
    };
    let padded = n + pad_begin + pad_end;
    let Some(room) = padded.checked_sub(extent) else {
        return Err(format!(
            "a kernel that spans {extent} elements does not fit an axis of {padded} with padding"
        ));
    };
    let mut ceil_extra = 0;
    if rounding == Rounding::Ceil {
        let mut last = room.div_ceil(stride) * stride;
        if last >= n + pad_begin {
            last -= stride;
        }
        // The padding that makes `last` the start of the last window.
        window.pad_end = (last + extent).saturating_sub(n + pad_begin);
        if room / stride * stride == last {
            window.pad_end = pad_end;
        }
        ceil_extra = window.pad_end.saturating_sub(pad_end);
    }
    Ok(Placed { window, ceil_extra })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outputs and padding of a placed window.
    fn placed(n: usize, k: usize, s: usize, d: usize, padding: Padding, r: Rounding) -> [usize; 4] {
        let Placed { window, ceil_extra } = place(n, k, s, d, padding, r).expect("fits");
        let outputs = window.output(n).expect("fits");
        [outputs, window.pad_begin, window.pad_end, ceil_extra]
    }

    #[test]
    fn outputs_and_padding() {
        let (floor, ceil) = (Rounding::Floor, Rounding::Ceil);
        assert_eq!(
            placed(5, 3, 2, 1, Padding::Explicit(0, 0), floor),
            [2, 0, 0, 0]
        );
        assert_eq!(
            placed(6, 3, 2, 1, Padding::Explicit(0, 0), floor),
            [2, 0, 0, 0]
        );
        assert_eq!(
            placed(6, 3, 2, 1, Padding::Explicit(0, 0), ceil),
            [3, 0, 1, 1]
        );
        // A third window would start in the padding after the input.
        assert_eq!(
            placed(2, 1, 2, 1, Padding::Explicit(0, 1), ceil),
            [1, 0, 0, 0]
        );
        assert_eq!(
            placed(2, 3, 2, 1, Padding::Explicit(1, 1), ceil),
            [2, 1, 2, 1]
        );
        assert_eq!(placed(5, 2, 1, 1, Padding::SameUpper, floor), [5, 0, 1, 0]);
        assert_eq!(placed(5, 2, 1, 1, Padding::SameLower, ceil), [5, 1, 0, 0]);
        assert_eq!(placed(5, 1, 3, 1, Padding::SameUpper, floor), [2, 0, 0, 0]);
        assert_eq!(placed(7, 3, 2, 2, Padding::SameUpper, floor), [4, 2, 2, 0]);
        assert!(place(2, 4, 1, 1, Padding::Explicit(0, 1), floor).is_err());
    }
}
