//! Every decision of a Kafka client as pure state machines, without sockets, clocks or a runtime.
