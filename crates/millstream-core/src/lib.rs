//! Topologies, the DSL, processors, the task engine and the TopologyTestDriver of Millstream.
