//! A graph of the model made ready for import: that of the file, or one inside of a node. Each
//! name is defined once, and the nodes are in an order in which they can be read.
//!
//! A graph inside of a node reads names of the graphs around it; those are its *captures*.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::rc::Rc;

use crate::Error;
use crate::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto};
use crate::scope::node;

/// The graphs inside of a node, by the attributes that hold them.
pub(crate) type Graphs = BTreeMap<String, Rc<Code>>;

/// A graph and what its names mean to it.
pub(crate) struct Code {
    /// The nodes, each after those it reads, otherwise in the order of the file.
    pub(crate) nodes: Vec<NodeProto>,
    /// The graphs inside of each node, taken out of its attributes.
    pub(crate) graphs: Vec<Graphs>,
    /// The stored tensors.
    pub(crate) initializers: Vec<TensorProto>,
    /// The declared inputs; an initializer may be listed again.
    pub(crate) inputs: Vec<ValueInfoProto>,
    /// The names of the outputs.
    pub(crate) outputs: Vec<String>,
    /// The names that are read and not defined here.
    pub(crate) captures: BTreeSet<String>,
    /// The node that makes each name; `None` for inputs and initializers.
    definitions: HashMap<String, Option<usize>>,
}

impl Code {
    /// Checks the names of a graph and orders its nodes.
    pub(crate) fn new(graph: GraphProto) -> Result<Self, Error> {
        let definitions = definitions(&graph)?;
        let GraphProto {
            node: mut nodes,
            initializer: initializers,
            input: inputs,
            output,
            ..
        } = graph;
        let graphs = nodes.iter_mut().map(inner).collect::<Result<_, _>>()?;
        let mut code = Self {
            nodes,
            graphs,
            initializers,
            inputs,
            outputs: output.into_iter().map(|o| o.name).collect(),
            captures: BTreeSet::new(),
            definitions,
        };
        code.sort()?;
        let nodes = 0..code.nodes.len();
        let read = nodes.flat_map(|i| code.reads(i)).chain(code.outputs.iter());
        let captures = read.filter(|name| !code.definitions.contains_key(*name));
        code.captures = captures.cloned().collect();
        Ok(code)
    }

    /// The names that node `i` and the graphs inside of it read.
    fn reads(&self, i: usize) -> impl Iterator<Item = &String> {
        let plain = self.nodes[i].input.iter().filter(|name| !name.is_empty());
        plain.chain(self.captured(i))
    }

    /// The names that the graphs inside of node `i` read, whatever defines them.
    pub(crate) fn captured(&self, i: usize) -> impl Iterator<Item = &String> {
        self.graphs[i].values().flat_map(|code| &code.captures)
    }

    /// The node that reads a name, or the name of the output that it is.
    pub(crate) fn reader<'a>(&'a self, name: &'a str) -> &'a str {
        let reader = (0..self.nodes.len()).find(|&i| self.reads(i).any(|x| x == name));
        reader.map_or(name, |i| node::name(&self.nodes[i]))
    }

    /// Whether a name is defined here.
    pub(crate) fn defines(&self, name: &str) -> bool {
        self.definitions.contains_key(name)
    }

    /// The node that makes a name.
    pub(crate) fn maker(&self, name: &str) -> Option<usize> {
        self.definitions.get(name).copied().flatten()
    }

    /// Puts the nodes into an order in which they can be read.
    fn sort(&mut self) -> Result<(), Error> {
        let n = self.nodes.len();
        let mut readers = vec![Vec::new(); n];
        let mut waiting = vec![0_usize; n];
        for (i, waiting) in waiting.iter_mut().enumerate() {
            let makers: BTreeSet<usize> = self.reads(i).filter_map(|x| self.maker(x)).collect();
            *waiting = makers.len();
            for maker in makers {
                readers[maker].push(i);
            }
        }
        let mut ready: BinaryHeap<_> = (0..n).filter(|&i| waiting[i] == 0).map(Reverse).collect();
        let mut order = Vec::with_capacity(n);
        while let Some(Reverse(i)) = ready.pop() {
            order.push(i);
            for &reader in &readers[i] {
                waiting[reader] -= 1;
                if waiting[reader] == 0 {
                    ready.push(Reverse(reader));
                }
            }
        }
        if let Some(i) = waiting.iter().position(|&n| n > 0) {
            return Err(Error::Cycle {
                node: node::name(&self.nodes[i]).into(),
            });
        }
        let mut place = vec![0; n];
        for (new, &old) in order.iter().enumerate() {
            place[old] = new;
        }
        permute(&mut self.nodes, &order);
        permute(&mut self.graphs, &order);
        for maker in self.definitions.values_mut().flatten() {
            *maker = place[*maker];
        }
        Ok(())
    }

    /// The nodes that `wanted` names need by their plain operands, in order. What only the graphs
    /// inside of nodes read is left out: it is needed if such a graph is.
    pub(crate) fn needed<'a>(&self, wanted: impl Iterator<Item = &'a str>) -> Vec<usize> {
        let mut needed = vec![false; self.nodes.len()];
        for i in wanted.filter_map(|name| self.maker(name)) {
            needed[i] = true;
        }
        for i in (0..self.nodes.len()).rev() {
            if needed[i] {
                for maker in self.nodes[i].input.iter().filter_map(|x| self.maker(x)) {
                    needed[maker] = true;
                }
            }
        }
        (0..self.nodes.len()).filter(|&i| needed[i]).collect()
    }

    /// How often each name is read here; those that graphs inside of nodes read are read forever.
    pub(crate) fn readers(&self) -> HashMap<String, usize> {
        let mut readers: HashMap<String, usize> = HashMap::new();
        let plain = self.nodes.iter().flat_map(|node| &node.input);
        for name in plain.chain(&self.outputs) {
            *readers.entry(name.clone()).or_default() += 1;
        }
        for name in (0..self.nodes.len()).flat_map(|i| self.captured(i)) {
            readers.insert(name.clone(), usize::MAX);
        }
        readers
    }
}

/// Takes the graphs out of a node's attributes.
fn inner(node: &mut NodeProto) -> Result<Graphs, Error> {
    let mut graphs = Graphs::new();
    for attribute in &mut node.attribute {
        if let Some(graph) = attribute.g.take() {
            graphs.insert(attribute.name.clone(), Rc::new(Code::new(graph)?));
        }
    }
    Ok(graphs)
}

/// Where each name is defined. No name is defined twice; an initializer may also be listed as an
/// input.
fn definitions(graph: &GraphProto) -> Result<HashMap<String, Option<usize>>, Error> {
    let mut definitions = HashMap::new();
    let mut define = |name: &str, by| match definitions.insert(name.to_owned(), by) {
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
    Ok(definitions)
}

/// The items in the order of `order`, a permutation.
fn permute<T: Default>(items: &mut Vec<T>, order: &[usize]) {
    *items = order
        .iter()
        .map(|&i| std::mem::take(&mut items[i]))
        .collect();
}
