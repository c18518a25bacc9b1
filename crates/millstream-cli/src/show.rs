//! What a verb found, shown: one JSON value with two faces, `--json` for programs and tables for
//! people.

use std::fmt::Write as _;

use comfy_table::{Table, presets};
use serde_json::{Map, Value};

/// Prints a value, as JSON on one line or for people.
///
/// People see an array of objects as a table, an object's plain fields as lines, and its other
/// fields as sections below them.
pub(crate) fn show(value: &Value, json: bool) {
    if json {
        println!("{value}");
    } else {
        print!("{}", text(value));
    }
}

/// How people read a value; ends in a line break unless it is empty.
fn text(value: &Value) -> String {
    let mut out = String::new();
    write_section(&mut out, value, 0);
    out
}

fn write_section(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(fields) => write_object(out, fields, depth),
        Value::Array(rows) if rows.iter().any(Value::is_object) => write_table(out, rows, depth),
        Value::Array(items) => items.iter().for_each(|item| write_line(out, &cell(item), depth)),
        plain => write_line(out, &cell(plain), depth),
    }
}

fn write_object(out: &mut String, fields: &Map<String, Value>, depth: usize) {
    let width = fields.iter().filter(|(_, v)| is_plain(v)).map(|(k, _)| heading(k).len()).max();
    for (name, value) in fields.iter().filter(|(_, value)| is_plain(value)) {
        let name = heading(name);
        let text = format!("{name:width$}  {}", cell(value), width = width.unwrap_or_default());
        write_line(out, &text, depth);
    }
    for (name, value) in fields.iter().filter(|(_, value)| !is_plain(value)) {
        write_line(out, &heading(name), depth);
        write_section(out, value, depth + 1);
    }
}

fn write_table(out: &mut String, rows: &[Value], depth: usize) {
    let mut columns: Vec<&String> = Vec::new();
    for name in rows.iter().filter_map(Value::as_object).flat_map(Map::keys) {
        if !columns.contains(&name) {
            columns.push(name);
        }
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(columns.iter().map(|name| heading(name)));
    for row in rows {
        table.add_row(columns.iter().map(|name| cell(&row[name.as_str()])));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().for_each(|line| write_line(out, line.trim_end(), depth));
}

fn write_line(out: &mut String, text: &str, depth: usize) {
    let _ = writeln!(out, "{:width$}{text}", "", width = 2 * depth);
}

/// Whether a value fits into a line: no object, no array of objects.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Object(_) => false,
        Value::Array(items) => !items.iter().any(Value::is_object),
        _ => true,
    }
}

/// A value in a cell: `-` for null and nothing, `a,b` for an array, `name=value` for an object.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(","),
        Value::Object(fields) => {
            let pairs = fields.iter().map(|(name, value)| format!("{name}={}", cell(value)));
            pairs.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    };
    if text.is_empty() { "-".to_owned() } else { text }
}

/// `inSync` as people read it: `in sync`. Names with dots, slashes or digits stay as they are.
fn heading(name: &str) -> String {
    let is_word = name.chars().all(|c| c.is_ascii_alphabetic());
    if !is_word || name.starts_with(|c: char| c.is_ascii_uppercase()) {
        return name.to_owned();
    }
    let mut text = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            text.push(' ');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arrays_of_objects_are_tables() {
        let rows = json!([
            {"partition": 0, "leader": 1, "inSync": [1, 2]},
            {"partition": 10, "leader": null, "inSync": []},
        ]);
        let expected = "partition  leader  in sync\n0          1       1,2\n10         -       -\n";
        assert_eq!(text(&rows), expected);
    }

    #[test]
    fn objects_are_lines_and_then_sections() {
        let topic = json!({
            "name": "orders",
            "partitions": [{"id": 0}],
            "topicId": "x",
            "configs": {"cleanup.policy": "compact"},
        });
        let expected = "name      orders\ntopic id  x\npartitions\n  id\n  0\nconfigs\n  \
                        cleanup.policy  compact\n";
        assert_eq!(text(&topic), expected);
    }

    #[test]
    fn plain_arrays_are_lines_and_nothing_is_nothing() {
        assert_eq!(text(&json!(["a", "b"])), "a\nb\n");
        assert_eq!(text(&json!([])), "");
    }
}
