//! Planted histories: the judges find what is wrong and nothing else.
