//! The table of the documentation.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use millstream_protocol::ErrorCode;

use super::{Blow, Cell, End, Fault, Found, Mode, Row, Times, name};

const HEAD: &str = "\
# Outcomes

What a producer is told of a record, and what a reader finds in the log, for everything that can go
wrong on the way of a request. `tests/src/matrix` declares the cells and carries them out against the
in-process broker; this page is written from them, and a test compares the two
(`UPDATE_EXPECT=1 cargo test -p millstream-tests --test outcomes` writes it anew).

*once*: the first request of the kind is hit and the next one passes; another record, sent afterwards,
is written in each of these cells. *always*: every request is hit until the delivery timeout has passed.
*done*: the broker does what it was asked before it fails. A record that is *not written* is handed back.

A transactional cell is a transaction of one record and one offset of a group: what is told is what the
commit (or building the producer) says, and the log is what a reader of committed records finds. The
offset has to be committed where the record is visible, and nowhere else; where the commit is *unknown*,
the next begin has to tell what a reader finds once the broker answers again; and another transaction of
the id, behind it, is committed in every cell.
";

/// The page.
#[must_use]
pub fn page(rows: &[Row]) -> String {
    let mut out = HEAD.to_owned();
    for row in rows {
        let _ = write!(out, "\n## {}\n\nTest: `outcomes::{}`.\n\n", row.title, row.test);
        out += "| mode | what happens | told | in the log |\n|---|---|---|---|\n";
        for (shape, codes) in shapes(&row.cells) {
            let Shape { mode, what, times, end, found } = shape;
            let what = match codes.len() {
                0 => what,
                _ => format!("{what} {}", codes.join(", ")),
            };
            let times = times.map_or_else(String::new, |times| format!(", {times}"));
            let _ = writeln!(out, "| {mode} | {what}{times} | {end} | {found} |");
        }
    }
    out
}

/// What cells that stand in one line have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    mode: Mode,
    what: String,
    times: Option<Times>,
    end: End,
    found: Found,
}

/// The lines, those of codes put together.
fn shapes(cells: &[Cell]) -> Vec<(Shape, Vec<String>)> {
    let mut places: BTreeMap<Shape, usize> = BTreeMap::new();
    let mut lines: Vec<(Shape, Vec<String>)> = Vec::new();
    for cell in cells {
        let (what, times, code) = describe(&cell.fault);
        let Cell { mode, end, found, .. } = *cell;
        let shape = Shape { mode, what, times, end, found };
        let place = *places.entry(shape.clone()).or_insert_with(|| {
            lines.push((shape, Vec::new()));
            lines.len() - 1
        });
        lines[place].1.extend(code.map(|code| format!("`{}`", name(code))));
    }
    lines
}

fn describe(fault: &Fault) -> (String, Option<Times>, Option<ErrorCode>) {
    match fault {
        Fault::Request { api, blow, times } => {
            let (what, code) = match blow {
                Blow::Answer(code) => (format!("{api} answered"), Some(*code)),
                Blow::DoneButAnswer(code) => (format!("{api} done, answered"), Some(*code)),
                other => (format!("{api}: {other}"), None),
            };
            (what, Some(*times), code)
        }
        other => (other.to_string(), None, None),
    }
}
