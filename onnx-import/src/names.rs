//! The names of a graph: each defined once, and the nodes in an order in which they can be read.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::Error;
use crate::node;
use crate::proto::{GraphProto, NodeProto};

/// Where each name is defined: by node `Some(i)`, or by an input or initializer `None`.
pub(crate) struct Names(BTreeMap<String, Option<usize>>);

impl Names {
    /// Checks that no name is defined twice. An initializer may also be listed as an input.
    pub(crate) fn check(graph: &GraphProto) -> Result<Self, Error> {
        let mut names = BTreeMap::new();
        let mut define = |name: &str, by| match names.insert(name.to_owned(), by) {
            None => Ok(()),
            Some(_) => Err(Error::DuplicateName { name: name.into() }),
        };
        let mut initializers = BTreeSet::new();
        for tensor in &graph.initializer {
            define(&tensor.name, None)?;
            initializers.insert(tensor.name.as_str());
        }
        if let Some(sparse) = graph.sparse_initializer.first() {
            return Err(Error::UnsupportedType {
                name: sparse.values.as_ref().map_or("", |v| &v.name).into(),
                data_type: "sparse tensor".into(),
                remedy: "store it densely".into(),
            });
        }
        for input in &graph.input {
            // Removing the name lets a second listing of the same input fail.
            if !initializers.remove(input.name.as_str()) {
                define(&input.name, None)?;
            }
        }
        for (i, node) in graph.node.iter().enumerate() {
            for output in node.output.iter().filter(|o| !o.is_empty()) {
                define(output, Some(i))?;
            }
        }
        Ok(Self(names))
    }

    /// The nodes that define the operands of node `i`.
    fn sources(&self, node: &NodeProto) -> Result<BTreeSet<usize>, Error> {
        let defined = |input: &String| match self.0.get(input) {
            Some(by) => Ok(*by),
            None => Err(Error::MissingInitializer {
                node: node::name(node).into(),
                name: input.clone(),
            }),
        };
        let inputs = node.input.iter().filter(|input| !input.is_empty());
        inputs
            .filter_map(|input| defined(input).transpose())
            .collect()
    }

    /// The nodes, each after those it reads, otherwise in the order of the file.
    pub(crate) fn order(&self, graph: &GraphProto) -> Result<Vec<usize>, Error> {
        let mut readers = vec![Vec::new(); graph.node.len()];
        let mut waiting = Vec::with_capacity(graph.node.len());
        for (i, node) in graph.node.iter().enumerate() {
            let sources = self.sources(node)?;
            waiting.push(sources.len());
            for source in sources {
                readers[source].push(i);
            }
        }
        let ready = (0..waiting.len()).filter(|&i| waiting[i] == 0);
        let mut ready: BinaryHeap<_> = ready.map(Reverse).collect();
        let mut order = Vec::with_capacity(waiting.len());
        while let Some(Reverse(i)) = ready.pop() {
            order.push(i);
            for &reader in &readers[i] {
                waiting[reader] -= 1;
                if waiting[reader] == 0 {
                    ready.push(Reverse(reader));
                }
            }
        }
        match waiting.iter().position(|&n| n > 0) {
            None => Ok(order),
            Some(i) => Err(Error::Cycle {
                node: node::name(&graph.node[i]).into(),
            }),
        }
    }

    /// Those nodes of `order` that some output needs.
    pub(crate) fn live(&self, graph: &GraphProto, order: &[usize]) -> Result<Vec<usize>, Error> {
        let mut needed = vec![false; graph.node.len()];
        for output in &graph.output {
            match self.0.get(&output.name) {
                Some(Some(i)) => needed[*i] = true,
                Some(None) => {}
                None => {
                    return Err(Error::MissingInitializer {
                        node: output.name.clone(),
                        name: output.name.clone(),
                    });
                }
            }
        }
        for &i in order.iter().rev() {
            if needed[i] {
                for source in self.sources(&graph.node[i])? {
                    needed[source] = true;
                }
            }
        }
        Ok(order.iter().copied().filter(|&i| needed[i]).collect())
    }
}
