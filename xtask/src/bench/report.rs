//! Figures over rounds: minimum, median, maximum; ratios taken inside a round; tables and JSON lines.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// One figure of a run, for each round; `None` where the peer cannot give it.
pub(super) type Series = Vec<Option<f64>>;

/// The least, the middle and the greatest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) max: f64,
}

impl Spread {
    pub(super) fn of(series: &Series) -> Option<Self> {
        let mut known: Vec<f64> = series.iter().copied().flatten().collect();
        known.sort_by(f64::total_cmp);
        let (min, max) = (*known.first()?, *known.last()?);
        let middle = known.len() / 2;
        let median = if known.len().is_multiple_of(2) {
            f64::midpoint(known[middle - 1], known[middle])
        } else {
            known[middle]
        };
        Some(Self { min, median, max })
    }

    pub(super) fn json(spread: Option<Self>) -> Value {
        spread.map_or(
            Value::Null,
            |Self { min, median, max }| json!({ "min": min, "median": median, "max": max }),
        )
    }
}

/// Ours to the peer's, round by round.
pub(super) fn ratios(ours: &Series, theirs: &Series) -> Series {
    let pair = |(ours, theirs): (&Option<f64>, &Option<f64>)| {
        let (ours, theirs) = ((*ours)?, (*theirs)?);
        (theirs > 0.0).then(|| ours / theirs)
    };
    ours.iter().zip(theirs).map(pair).collect()
}

/// A median for a table, `-` where there is none.
pub(super) fn median(series: &Series, scale: f64, digits: usize) -> String {
    Spread::of(series)
        .map_or_else(|| "-".to_owned(), |spread| format!("{:.digits$}", spread.median / scale))
}

/// A ratio with its spread for a table.
pub(super) fn ratio(series: &Series) -> String {
    Spread::of(series).map_or_else(
        || "-".to_owned(),
        |spread| format!("{:.2} ({:.2}-{:.2})", spread.median, spread.min, spread.max),
    )
}

/// Writes JSON lines, if a file is asked for.
pub(super) fn write(file: Option<&Path>, lines: &[Value]) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_between_the_middle_two() {
        let spread = Spread::of(&vec![Some(4.0), None, Some(1.0), Some(2.0), Some(9.0)]);
        let spread = spread.map(|spread| (spread.min, spread.median, spread.max));
        assert_eq!(spread, Some((1.0, 3.0, 9.0)));
        assert!(Spread::of(&vec![None]).is_none());
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let found = ratios(&vec![Some(1.0), Some(3.0), None], &vec![Some(2.0), None, Some(1.0)]);
        assert_eq!(found, [Some(0.5), None, None]);
    }
}
