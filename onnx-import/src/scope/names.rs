//! What the names of a graph stand for while it is imported.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use crate::proto::TensorProto;
use crate::scope::code::Code;
use crate::scope::value::{Element, Value};

/// What a name stands for.
#[derive(Clone, Debug)]
pub(crate) enum Meaning {
    /// A tensor, and the kind of its elements.
    Tensor(Value, Element),
    /// A sequence of tensors, whose number is known.
    Sequence(Vec<(Value, Element)>),
}

/// The names of one graph.
pub(crate) struct Scope {
    /// The graph.
    pub(crate) code: Rc<Code>,
    /// The scope around it.
    pub(crate) parent: Option<usize>,
    /// Initializers that no node has read yet.
    initializers: HashMap<String, TensorProto>,
    meanings: HashMap<String, Meaning>,
    /// How many more times each name will be read; the last reader takes the meaning.
    readers: HashMap<String, usize>,
    /// Which nodes have been imported.
    done: Vec<bool>,
}

impl Scope {
    /// The names of a graph of which nothing but stored tensors is known.
    pub(crate) fn new(
        code: Rc<Code>,
        initializers: Vec<TensorProto>,
        parent: Option<usize>,
    ) -> Self {
        let named = |t: TensorProto| (t.name.clone(), t);
        Self {
            readers: code.readers(),
            done: vec![false; code.nodes.len()],
            initializers: initializers.into_iter().map(named).collect(),
            meanings: HashMap::new(),
            code,
            parent,
        }
    }

    /// Says what a name stands for, unless nobody reads it.
    pub(crate) fn define(&mut self, name: &str, meaning: Meaning) {
        if self.reads(name) {
            self.meanings.insert(name.into(), meaning);
        }
    }

    /// Whether anything reads a name.
    pub(crate) fn reads(&self, name: &str) -> bool {
        self.readers.contains_key(name)
    }

    /// Whether the name is one of a stored tensor.
    pub(crate) fn stores(&self, name: &str) -> bool {
        self.initializers.contains_key(name)
    }

    /// Takes the stored tensor of a name at its first reading.
    pub(crate) fn stored(&mut self, name: &str) -> Option<TensorProto> {
        self.initializers.remove(name)
    }

    /// What a name stands for, moved out for its last reader.
    pub(crate) fn take(&mut self, name: &str) -> Option<Meaning> {
        let last = self.readers.get_mut(name).is_none_or(|n| {
            *n = n.saturating_sub(1);
            *n == 0
        });
        if last {
            self.meanings.remove(name)
        } else {
            self.meanings.get(name).cloned()
        }
    }

    /// Marks node `i` as imported; false if it was already.
    pub(crate) fn begin(&mut self, i: usize) -> bool {
        !std::mem::replace(&mut self.done[i], true)
    }

    /// The nodes that a name needs by plain operands and that are still to be imported, in order.
    pub(crate) fn waiting(&self, name: &str) -> Vec<usize> {
        let mut open: Vec<usize> = self.code.maker(name).into_iter().collect();
        let mut found = BTreeSet::new();
        while let Some(i) = open.pop() {
            if !self.done[i] && found.insert(i) {
                let operands = self.code.nodes[i].input.iter();
                open.extend(operands.filter_map(|name| self.code.maker(name)));
            }
        }
        found.into_iter().collect()
    }
}
