//! Files of arrays become batches of model inputs.
//!
//! Formats: `.npz`, `.npy`, and JSON: either EZKL's `{"input_data": [[..], ..]}` or
//! `{"name": nested lists, ..}`. The array of input `n` is called `in_n`, `n` or, for models of one
//! input, `x`; an array alone in its file needs no name, and arrays that no input asks for are not
//! read. An array of the model's shape is one sample; with one more leading axis it is a batch.
//! Axes of length 1 do not matter, and a sample may be a flat list.

mod json;
mod npz;
mod port;

pub(crate) use port::Port;

use crate::failure::Failure;
use crate::files;
use ndarray::ArrayD;
use port::Layout;
use std::num::NonZeroUsize;
use std::path::Path;
use zkstrata::ndarray;

/// Most samples that are kept. Each takes some hundred bytes beside its cells, and a file of a few
/// megabytes can hold very many.
const SAMPLES: usize = 1 << 20;

/// One array per model input.
pub(crate) type Sample = Vec<ArrayD<f32>>;

/// Whether ports are inputs (`in_n`) or outputs (`out_n`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Input,
    Output,
}

/// Which samples of a file are of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    All,
    /// So many, of the file's beginning.
    First(usize),
    /// All, unless they are more than fit into a proof.
    AtMost(usize),
}

/// The samples of a port.
#[derive(Debug)]
struct Stack {
    /// How many the file has.
    found: usize,
    /// Those that are of use.
    samples: Vec<ArrayD<f32>>,
}

/// A file whose arrays are not read yet.
enum Content<'a> {
    Archive(npz::Archive<'a>),
    Array(&'a [u8]),
    Lists(json::Lists),
}

/// What a file calls its arrays.
#[derive(Debug)]
enum Arrays<'a> {
    Named(Vec<&'a str>),
    /// In the order of the ports.
    Listed(usize),
}

impl Wanted {
    /// The first so many, or no more than a proof may have.
    pub(crate) fn of_batch(first: Option<NonZeroUsize>, most: usize) -> Self {
        first.map_or(Self::AtMost(most), |first| Self::First(first.get()))
    }

    /// How many of the samples that a file has.
    fn of(self, found: usize) -> Result<usize, String> {
        match self {
            Self::All if found <= SAMPLES => Ok(found),
            Self::All => Err(format!(
                "{found} samples, at most {SAMPLES} are read from a file"
            )),
            Self::First(n) if n <= found => Ok(n),
            Self::First(n) => Err(format!("{n} samples are asked for, the file has {found}")),
            Self::AtMost(most) if found <= most => Ok(found),
            Self::AtMost(most) => Err(format!(
                "{found} samples, but a proof of this key is of at most {most}: take the first of \
                 them with --batch"
            )),
        }
    }
}

impl<'a> Content<'a> {
    fn open(bytes: &'a [u8], side: Side) -> Result<Self, String> {
        match bytes {
            [b'P', b'K', ..] => npz::Archive::open(bytes).map(Self::Archive),
            [0x93, b'N', ..] => Ok(Self::Array(bytes)),
            _ => json::Lists::parse(bytes, side).map(Self::Lists),
        }
    }

    fn arrays(&self) -> Arrays<'_> {
        match self {
            Self::Archive(archive) => Arrays::Named(archive.names()),
            Self::Array(_) => Arrays::Listed(1),
            Self::Lists(json::Lists::Listed(listed)) => Arrays::Listed(listed.len()),
            Self::Lists(json::Lists::Named(named)) => {
                Arrays::Named(named.iter().map(|(name, _)| name.as_str()).collect())
            }
        }
    }

    /// The shape of an array.
    fn shape(&mut self, array: usize) -> Result<Vec<usize>, String> {
        match self {
            Self::Archive(archive) => archive.shape(array),
            Self::Array(bytes) => npz::shape(bytes),
            Self::Lists(lists) => Ok(lists.shape(array)),
        }
    }

    /// The samples of an array.
    fn stack(&mut self, array: usize, port: &Port, wanted: Wanted) -> Result<Stack, String> {
        let stack = match self {
            Self::Archive(archive) => archive.stack(array, port, wanted),
            Self::Array(bytes) => npz::array(bytes, port, wanted),
            Self::Lists(lists) => lists.stack(array, port, wanted),
        };
        stack.map_err(|error| format!("the array of `{}`: {error}", port.name))
    }

    /// The samples of every port.
    fn stacks(&mut self, ports: &[Port], side: Side, wanted: Wanted) -> Result<Vec<Stack>, String> {
        let arrays: Vec<usize> = match self.arrays() {
            Arrays::Named(names) => select(&names, ports, side)?,
            Arrays::Listed(found) if found == ports.len() => (0..found).collect(),
            Arrays::Listed(found) => {
                let [port] = ports else {
                    let expected = ports.len();
                    return Err(format!(
                        "it has {found} arrays, the model {expected} inputs"
                    ));
                };
                return Ok(vec![self.joined(found, port, wanted)?]);
            }
        };
        let pairs = arrays.into_iter().zip(ports);
        pairs
            .map(|(array, port)| self.stack(array, port, wanted))
            .collect()
    }

    /// The samples of a model of one input, of which every array has some.
    fn joined(&mut self, arrays: usize, port: &Port, wanted: Wanted) -> Result<Stack, String> {
        let mut samples = Vec::new();
        for array in 0..arrays {
            samples.append(&mut self.stack(array, port, Wanted::All)?.samples);
        }
        let found = samples.len();
        samples.truncate(wanted.of(found)?);
        Ok(Stack { found, samples })
    }
}

/// Reads samples of a file.
pub(crate) fn samples(
    path: &Path,
    ports: &[Port],
    side: Side,
    wanted: Wanted,
) -> Result<Vec<Sample>, Failure> {
    let bytes = files::read(path, files::LIMIT)?;
    let content = Content::open(&bytes, side);
    let stacks = content.and_then(|mut content| content.stacks(ports, side, wanted));
    let samples = stacks.and_then(|stacks| zip(ports, stacks));
    samples.map_err(|message| Failure::new(format!("{}: {message}", path.display())))
}

/// The shape that an input of these axes has in a sample of a file, if the file says it: that of
/// the array of its name, or of the only array. An array of as many axes has the samples along the
/// first one, if its length is open; one with an axis more has them along that.
pub(crate) fn shape(
    path: &Path,
    name: &str,
    axes: &[Option<usize>],
) -> Result<Option<Vec<usize>>, Failure> {
    let bytes = files::read(path, files::LIMIT)?;
    let found = Content::open(&bytes, Side::Input).and_then(|mut content| {
        let array = match content.arrays() {
            Arrays::Named(names) => find(&names, name),
            Arrays::Listed(found) => (found == 1).then_some(0),
        };
        array.map(|array| content.shape(array)).transpose()
    });
    let found = found.map_err(|message| Failure::new(format!("{}: {message}", path.display())))?;
    Ok(found.and_then(|shape| of_axes(&shape, axes)))
}

/// The array of an input of this name.
fn find(names: &[&str], input: &str) -> Option<usize> {
    let prefixed = format!("in_{input}");
    let named = |wanted: &str| names.iter().position(|&name| name == wanted);
    let alone = (names.len() == 1).then_some(0);
    named(&prefixed).or_else(|| named(input)).or(alone)
}

/// The shape of one sample in an array of this shape.
fn of_axes(array: &[usize], axes: &[Option<usize>]) -> Option<Vec<usize>> {
    let mut shape = match array.len().checked_sub(axes.len())? {
        0 => array.to_vec(),
        1 => array[1..].to_vec(),
        _ => return None,
    };
    if array.len() == axes.len() && axes.first() == Some(&None) {
        shape[0] = 1;
    }
    let fits = |(&n, axis): (&usize, &Option<usize>)| n > 0 && axis.is_none_or(|m| m == n);
    shape.iter().zip(axes).all(fits).then_some(shape)
}

/// One sample of every port becomes a sample of the model.
fn zip(ports: &[Port], stacks: Vec<Stack>) -> Result<Vec<Sample>, String> {
    let mut pairs = ports.iter().zip(stacks);
    let Some((first, stack)) = pairs.next() else {
        return Err("the model has no inputs".into());
    };
    let found = stack.found;
    let mut samples: Vec<Sample> = stack.samples.into_iter().map(|x| vec![x]).collect();
    for (port, stack) in pairs {
        if stack.found != found {
            return Err(format!(
                "`{}` has {} samples, `{}` has {found}",
                port.name, stack.found, first.name
            ));
        }
        for (sample, x) in samples.iter_mut().zip(stack.samples) {
            sample.push(x);
        }
    }
    Ok(samples)
}

/// The array of every port, by name; none for two ports.
fn select(names: &[&str], ports: &[Port], side: Side) -> Result<Vec<usize>, String> {
    let alone = names.len() == 1 && ports.len() == 1;
    let prefix = match side {
        Side::Input => "in_",
        Side::Output => "out_",
    };
    let mut free: Vec<Option<&str>> = names.iter().copied().map(Some).collect();
    let mut select = |port: &Port| {
        let mut wanted = vec![format!("{prefix}{}", port.name), port.name.clone()];
        if side == Side::Input && ports.len() == 1 {
            wanted.push("x".into());
        }
        let find = |name: &String| free.iter().position(|&other| other == Some(name));
        let index = wanted.iter().find_map(find).or(alone.then_some(0));
        if let Some(index) = index {
            free[index] = None;
            return Ok(index);
        }
        let (found, wanted) = (names.join("`, `"), wanted.join("` or `"));
        Err(format!("it has no array `{wanted}`; it has `{found}`"))
    };
    ports.iter().map(&mut select).collect()
}

#[cfg(test)]
mod tests {
    use super::port::tests::port;
    use super::*;

    #[test]
    fn samples_are_counted_before_they_are_read() {
        assert_eq!(Wanted::All.of(SAMPLES), Ok(SAMPLES));
        assert!(Wanted::All.of(SAMPLES + 1).is_err());
        assert_eq!(Wanted::First(3).of(7), Ok(3));
        assert_eq!(Wanted::AtMost(7).of(7), Ok(7));
        assert!(Wanted::First(8).of(7).is_err());
        assert!(Wanted::AtMost(6).of(7).is_err());
    }

    #[test]
    fn open_lengths_are_those_of_one_sample() {
        let of = |array: &[usize], axes: &[Option<usize>]| of_axes(array, axes);
        let image = [None, Some(3), None, None];
        assert_eq!(of(&[8, 3, 48, 192], &image), Some(vec![1, 3, 48, 192]));
        assert_eq!(of(&[8, 5, 3, 48, 192], &image), Some(vec![5, 3, 48, 192]));
        assert_eq!(of(&[3, 48], &[Some(3), None]), Some(vec![3, 48]));
        assert_eq!(of(&[7, 3, 48], &[Some(3), None]), Some(vec![3, 48]));
        for array in [
            &[8, 4, 48, 192][..],
            &[8, 3, 48],
            &[8, 3, 0, 192],
            &[1, 1, 1, 3, 4, 4],
        ] {
            assert_eq!(of(array, &image), None, "{array:?}");
        }
        assert_eq!(find(&["y", "x", "in_x"], "x"), Some(2));
        assert_eq!(find(&["y"], "x"), Some(0));
        assert_eq!(find(&["y", "z"], "x"), None);
    }

    #[test]
    fn arrays_go_to_the_ports_of_their_name() {
        let one = [port(&[2])];
        let select = |names: &[&str]| select(names, &one, Side::Input).ok();
        assert_eq!(select(&["out_a", "a", "in_a"]), Some(vec![2]));
        assert_eq!(select(&["y", "x"]), Some(vec![1]));
        assert_eq!(select(&["anything"]), Some(vec![0]));
        assert_eq!(select(&["y", "z"]), None);
        let stacks = |text: &str, ports: &[Port], wanted| {
            let mut content = Content::open(text.as_bytes(), Side::Input)?;
            let stacks = content.stacks(ports, Side::Input, wanted)?;
            zip(ports, stacks).map(|samples| samples.len())
        };
        let listed = r#"{"input_data": [[7, 7], [8, 8], [9, 9]]}"#;
        let two = [port(&[2]), port(&[2])];
        assert_eq!(stacks(listed, &one, Wanted::All), Ok(3));
        assert_eq!(stacks(listed, &one, Wanted::First(2)), Ok(2));
        assert!(stacks(listed, &one, Wanted::AtMost(2)).is_err());
        assert!(stacks(listed, &two, Wanted::All).is_err());
        let uneven = r#"{"input_data": [[[7, 7], [8, 8]], [9, 9]]}"#;
        for wanted in [Wanted::All, Wanted::First(1)] {
            let error = stacks(uneven, &two, wanted).expect_err("one and two samples");
            assert!(error.contains("1 samples"), "{error}");
        }
        assert_eq!(stacks(listed, &[], Wanted::All).ok(), None);
    }
}
