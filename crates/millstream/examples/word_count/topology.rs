//! The program: lines to words to counts.

use millstream::{StreamsBuilder, Topology, TopologyError};

/// Lines of text, without keys.
pub(crate) const INPUT: &str = "word-count-input";
/// Counts by word: the word as UTF-8, the count as Java's `LongSerializer` writes it.
pub(crate) const OUTPUT: &str = "word-count-output";

/// Counts the words of all lines.
pub(crate) fn word_count() -> Result<Topology, TopologyError> {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>(INPUT)
        .flat_map_values(|line| words(&line).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count()
        .to_stream()
        .to(OUTPUT);
    builder.build()
}

/// The words of a line: maximal runs of alphanumeric characters, in lower case.
fn words(line: &str) -> impl Iterator<Item = String> {
    line.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream::TopologyTestDriver;

    #[test]
    fn counts_every_word() {
        let driver = TopologyTestDriver::new(&word_count().unwrap());
        let lines = driver.input::<String, String>(INPUT);
        let counts = driver.output::<String, i64>(OUTPUT);
        lines.pipe_value("To be, or NOT to be");
        let words = [("to", 1), ("be", 1), ("or", 1), ("not", 1), ("to", 2), ("be", 2)];
        counts.assert_next(words.map(|(word, count)| (word.to_owned(), count)));
    }
}
