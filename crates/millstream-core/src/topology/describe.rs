//! The described topology: Java's text, to the letter.
//!
//! Java keeps operators in sorted sets whose keys change after insertion, and topics and stores in
//! hash sets; both orders show, so both are emulated (`java_hash`).

use std::cmp::Ordering;
use std::fmt;

use super::{Operator, OperatorKind, TopologyData};
use crate::java_hash::{TreeOrder, hash_set_copy_order, hash_set_order};

/// A topology as text: print it. Equal to what Java Kafka Streams prints for the same program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopologyDescription(String);

impl TopologyDescription {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopologyDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn describe(topology: &TopologyData) -> TopologyDescription {
    let mut text = String::from("Topologies:\n ");
    for (id, group) in topology.groups.iter().enumerate() {
        text.push_str(&format!("  Sub-topology: {id}\n"));
        let nodes = Nodes::connect(&topology.operators, group);
        for node in nodes.sorted() {
            nodes.describe(node, &mut text);
        }
        text.push('\n');
    }
    TopologyDescription(text)
}

/// The operators of one sub-topology, linked the way `describeSubtopology` links them.
struct Nodes<'a> {
    operators: Vec<&'a Operator>,
    sizes: Vec<usize>,
    predecessors: Vec<TreeOrder>,
    successors: Vec<TreeOrder>,
}

impl<'a> Nodes<'a> {
    fn connect(all: &'a [Operator], group: &[usize]) -> Self {
        let operators: Vec<&Operator> = group.iter().map(|&index| &all[index]).collect();
        let count = operators.len();
        let mut nodes = Self {
            operators,
            sizes: vec![1; count],
            predecessors: (0..count).map(|_| TreeOrder::default()).collect(),
            successors: (0..count).map(|_| TreeOrder::default()).collect(),
        };
        for node in nodes.map_order() {
            for parent in &nodes.operators[node].parents {
                let Ok(parent) = group.binary_search(&parent.operator) else {
                    continue;
                };
                nodes.link(parent, node);
            }
        }
        nodes
    }

    /// `nodesByName.values()`: a hash map filled in the order of a hash set of names.
    fn map_order(&self) -> Vec<usize> {
        let names = self.operators.iter().map(|operator| &*operator.name);
        let order = hash_set_order(hash_set_order(names));
        order
            .into_iter()
            .filter_map(|name| self.operators.iter().position(|other| *other.name == *name))
            .collect()
    }

    fn link(&mut self, parent: usize, node: usize) {
        let (operators, sizes) = (&self.operators, &self.sizes);
        let compare = |a: usize, b: usize| compare(operators, sizes, a, b);
        self.predecessors[node].insert(parent, compare);
        self.successors[parent].insert(node, compare);
        let delta = self.sizes[node];
        self.grow(parent, delta);
    }

    /// `updateSize`: counts along every path up.
    fn grow(&mut self, node: usize, delta: usize) {
        self.sizes[node] += delta;
        for parent in self.predecessors[node].elements() {
            self.grow(parent, delta);
        }
    }

    fn sorted(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.operators.len()).collect();
        order.sort_by(|&a, &b| compare(&self.operators, &self.sizes, a, b));
        order
    }

    fn describe(&self, node: usize, text: &mut String) {
        let operator = self.operators[node];
        let name = &operator.name;
        let head = match &operator.kind {
            OperatorKind::Source { topics, .. } => {
                let topics = hash_set_copy_order(hash_set_order(topics.iter()));
                format!("Source: {name} (topics: [{}])", comma_separated(topics))
            }
            OperatorKind::Processor { stores, .. } => {
                let stores = hash_set_order(stores.iter());
                format!("Processor: {name} (stores: [{}])", comma_separated(stores))
            }
            OperatorKind::Sink { topic, .. } => format!("Sink: {name} (topic: {topic})"),
        };
        text.push_str(&format!("    {head}\n"));
        if !matches!(operator.kind, OperatorKind::Sink { .. }) {
            text.push_str(&format!("      --> {}\n", self.names(&self.successors[node])));
        }
        if !matches!(operator.kind, OperatorKind::Source { .. }) {
            text.push_str(&format!("      <-- {}\n", self.names(&self.predecessors[node])));
        }
    }

    fn names(&self, nodes: &TreeOrder) -> String {
        let names: Vec<&str> =
            nodes.elements().into_iter().map(|node| &*self.operators[node].name).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }
}

/// `NodeComparator`: larger subtrees first, then by name.
fn compare(operators: &[&Operator], sizes: &[usize], a: usize, b: usize) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    sizes[b].cmp(&sizes[a]).then_with(|| operators[a].name.cmp(&operators[b].name))
}

fn comma_separated<S: AsRef<str>>(strings: Vec<S>) -> String {
    let strings: Vec<&str> = strings.iter().map(AsRef::as_ref).collect();
    strings.join(", ")
}
