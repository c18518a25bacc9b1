//! Builds the operators of a task from their factories, children before parents.
//!
//! Here, and only here, types are erased and found again: an operator's input is handed to its
//! parents as `dyn Any`, and each parent takes out what its own output type says. The typed builder
//! lets nothing else meet; a mismatch is an error all the same.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use millstream_types::TopicName;

use super::{Context, Process, SourceInput, StreamRecord};
use crate::task::{OutputKind, OutputTopic, TaskError};
use crate::topology::{Edge, OperatorKind, TopologyData, changelog_topic};

/// How a record is cloned where a stream was: known only where key and value can be.
pub(crate) type Fork<K, V> = fn(&StreamRecord<K, V>) -> StreamRecord<K, V>;

/// A [`Fork`] of some type.
pub(crate) type AnyFork = Arc<dyn Any + Send + Sync>;

/// The input side of an operator, a handle for each of its parents.
pub(crate) struct AnyInput(Vec<Box<dyn Any>>);

/// The children of an operator.
pub(crate) struct Output<K, V> {
    children: Vec<Box<dyn Process<K, V>>>,
    fork: Option<Fork<K, V>>,
    operator: Arc<str>,
}

impl<K, V> Output<K, V> {
    /// Hands the record to all children, one after the other.
    #[inline]
    pub(crate) fn forward(
        &mut self,
        cx: &mut Context<'_>,
        record: StreamRecord<K, V>,
    ) -> Result<(), TaskError> {
        match self.children.as_mut_slice() {
            [] => Ok(()),
            [only] => only.process(cx, record),
            [others @ .., last] => {
                let Some(fork) = self.fork else {
                    return Err(TaskError::wiring(&self.operator));
                };
                for child in others {
                    child.process(cx, fork(&record))?;
                }
                last.process(cx, record)
            }
        }
    }
}

/// An operator whose store is cached: it forwards when the cache is flushed.
pub(crate) trait CachedOperator {
    /// Whether the cache holds changes.
    fn is_dirty(&self, cx: &mut Context<'_>) -> bool;

    /// Writes all changes down, logs them and forwards them.
    fn flush(&mut self, cx: &mut Context<'_>) -> Result<(), TaskError>;
}

/// An operator with several parents, or with a cache to flush.
struct Shared<P>(Rc<RefCell<P>>);

impl<K, V, P: Process<K, V>> Process<K, V> for Shared<P> {
    fn process(
        &mut self,
        cx: &mut Context<'_>,
        record: StreamRecord<K, V>,
    ) -> Result<(), TaskError> {
        // Operators form no cycle, so this one is not at work already.
        self.0.borrow_mut().process(cx, record)
    }
}

/// The built operators of a task.
pub(crate) struct BuiltTask {
    /// By real topic name: what reads it. Several where several typed streams do.
    pub(crate) sources: BTreeMap<TopicName, Vec<Box<dyn SourceInput>>>,
    /// The cached operators by the slot of their store.
    pub(crate) cached: BTreeMap<usize, Rc<RefCell<dyn CachedOperator>>>,
    /// Every topic that the task writes.
    pub(crate) outputs: Vec<OutputTopic>,
}

/// Builds the operators of these sub-topologies as one task; `stores` are the names of its stores
/// in the order of their slots.
pub(crate) fn build_task(
    topology: &TopologyData,
    groups: &[usize],
    application_id: &str,
    stores: &[Arc<str>],
) -> Result<BuiltTask, TaskError> {
    let mut scope = BuildScope {
        topology,
        application_id,
        stores,
        children: BTreeMap::new(),
        built: BuiltTask { sources: BTreeMap::new(), cached: BTreeMap::new(), outputs: Vec::new() },
    };
    for store in stores {
        let definition = topology.stores.get(store);
        if definition.is_some_and(|definition| definition.logging.is_some()) {
            let topic = changelog_topic(application_id, store);
            scope.output_topic(topic, OutputKind::Changelog);
        }
    }
    let mut operators: Vec<usize> =
        groups.iter().flat_map(|&group| topology.groups[group].iter().copied()).collect();
    operators.sort_unstable();
    for operator in operators.into_iter().rev() {
        scope.build(operator)?;
    }
    Ok(scope.built)
}

struct BuildScope<'a> {
    topology: &'a TopologyData,
    application_id: &'a str,
    stores: &'a [Arc<str>],
    /// Inputs of operators that are built, by the output that feeds them, last operator first.
    children: BTreeMap<(usize, usize), Vec<Box<dyn Any>>>,
    built: BuiltTask,
}

impl BuildScope<'_> {
    fn build(&mut self, operator: usize) -> Result<(), TaskError> {
        let topology = self.topology;
        let mut node = NodeBuilder { operator, scope: self };
        match &topology.operators[operator].kind {
            OperatorKind::Source { topics, outputs, .. } => {
                for (output, factory) in outputs.iter().enumerate() {
                    let inputs = factory.build(&mut node, output, topics.len())?;
                    for (topic, input) in topics.iter().zip(inputs) {
                        let topic = topology.real_topic(node.scope.application_id, topic);
                        let readers = node.scope.built.sources.entry(topic).or_default();
                        readers.push(input);
                    }
                }
                Ok(())
            }
            OperatorKind::Processor { factory, .. } | OperatorKind::Sink { factory, .. } => {
                let AnyInput(handles) = factory.build(&mut node)?;
                let parents = &topology.operators[operator].parents;
                for (&Edge { operator, output }, handle) in parents.iter().zip(handles) {
                    let children = self.children.entry((operator, output)).or_default();
                    children.push(handle);
                }
                Ok(())
            }
        }
    }

    fn output_topic(&mut self, name: TopicName, kind: OutputKind) -> OutputTopic {
        let outputs = &mut self.built.outputs;
        if let Some(known) = outputs.iter().find(|topic| topic.name == name) {
            return known.clone();
        }
        let topic = OutputTopic { index: outputs.len(), name, kind };
        outputs.push(topic.clone());
        topic
    }
}

/// What a factory builds its operator from.
pub(crate) struct NodeBuilder<'a, 'b> {
    operator: usize,
    scope: &'a mut BuildScope<'b>,
}

impl NodeBuilder<'_, '_> {
    /// The operator's name.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.scope.topology.operators[self.operator].name
    }

    /// The operator's only output.
    pub(crate) fn output<K: 'static, V: 'static>(&mut self) -> Result<Output<K, V>, TaskError> {
        self.numbered_output(0)
    }

    /// One of the operator's outputs, with its children in the order they were added.
    pub(crate) fn numbered_output<K: 'static, V: 'static>(
        &mut self,
        output: usize,
    ) -> Result<Output<K, V>, TaskError> {
        let operator = &self.scope.topology.operators[self.operator];
        let children = self.scope.children.remove(&(self.operator, output));
        let children = children
            .unwrap_or_default()
            .into_iter()
            .rev()
            .map(|child| child.downcast::<Box<dyn Process<K, V>>>().map(|child| *child))
            .collect::<Result<_, _>>()
            .map_err(|_| TaskError::wiring(&operator.name))?;
        let fork = operator
            .forks
            .get(output)
            .and_then(Option::as_ref)
            .and_then(|fork| fork.downcast_ref::<Fork<K, V>>())
            .copied();
        Ok(Output { children, fork, operator: operator.name.clone() })
    }

    /// The operator, as what its parents forward to.
    pub(crate) fn input<K: 'static, V: 'static>(
        &self,
        process: impl Process<K, V> + 'static,
    ) -> AnyInput {
        if self.parents() == 1 {
            AnyInput(vec![erase::<K, V>(Box::new(process))])
        } else {
            self.shared_input(&Rc::new(RefCell::new(process)))
        }
    }

    /// The operator over the cached store of this slot, as what its parents forward to.
    pub(crate) fn cached_input<K: 'static, V: 'static, P>(
        &mut self,
        slot: usize,
        process: P,
    ) -> AnyInput
    where
        P: Process<K, V> + CachedOperator + 'static,
    {
        let process = Rc::new(RefCell::new(process));
        self.scope.built.cached.insert(slot, process.clone());
        self.shared_input(&process)
    }

    fn shared_input<K: 'static, V: 'static>(
        &self,
        process: &Rc<RefCell<impl Process<K, V> + 'static>>,
    ) -> AnyInput {
        let handles =
            (0..self.parents()).map(|_| erase::<K, V>(Box::new(Shared(process.clone())))).collect();
        AnyInput(handles)
    }

    fn parents(&self) -> usize {
        self.scope.topology.operators[self.operator].parents.len()
    }

    /// The slot of a store that the operator is connected to.
    pub(crate) fn store_slot(&self, store: &Arc<str>) -> Result<usize, TaskError> {
        let slot = self.scope.stores.iter().position(|name| name == store);
        slot.ok_or_else(|| TaskError::wiring(self.name()))
    }

    /// The topic name that serdes of a store are given, as in Java its changelog's.
    pub(crate) fn store_topic(&self, store: &str) -> TopicName {
        changelog_topic(self.scope.application_id, store)
    }

    /// The topic of a sink.
    pub(crate) fn sink_topic(&mut self, topic: &str) -> OutputTopic {
        let name = self.scope.topology.real_topic(self.scope.application_id, topic);
        let internal = self.scope.topology.repartition_topics.contains_key(topic);
        let kind = if internal { OutputKind::Repartition } else { OutputKind::User };
        self.scope.output_topic(name, kind)
    }
}

fn erase<K: 'static, V: 'static>(process: Box<dyn Process<K, V>>) -> Box<dyn Any> {
    Box::new(process)
}
