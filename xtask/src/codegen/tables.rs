//! Writes the tables: which APIs there are, what answers what, whose message is whose.

use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::Api;
use super::names;

/// The table of APIs and versions.
pub(super) fn apis(apis: &[Api<'_>]) -> Result<String> {
    let mut out = super::header("The APIs of Kafka with their versions.");
    out.push_str("crate::api::apis! {\n");
    for api in apis {
        let request = api.request;
        let flexible = request.first_flexible();
        let flexible = flexible.map_or_else(|| "i16::MAX".to_owned(), |first| first.to_string());
        writeln!(
            out,
            "    {} = {}, {}..={}, {flexible}, {};",
            api.name, api.key, request.versions.min, request.versions.max, request.on_brokers
        )?;
    }
    out.push_str("}\n");
    Ok(out)
}

/// The list of every API with its messages, as a macro that hands it to another one.
pub(super) fn requests(apis: &[Api<'_>]) -> Result<String> {
    let mut out = super::header("Which response answers which request.");
    out.push_str("/// Gives every API with its request and its response to the macro `$each`.\n");
    out.push_str("macro_rules! every_api {\n    ($each:ident) => {\n        $each! {\n");
    for api in apis {
        let name = &api.name;
        writeln!(out, "            {name}, {name}Request, {name}Response;")?;
    }
    out.push_str("        }\n    };\n}\npub(crate) use every_api;\n");
    Ok(out)
}

/// Which APIs are generated here; `messages` re-exports what this module does.
pub(super) fn owners(apis: &[Api<'_>]) -> Result<String> {
    let mut out = super::header(
        "The APIs whose messages are generated here; all others are the `kafka-protocol` crate's.",
    );
    // Names that are given one by one take the place of the same names in the glob.
    out.push_str("pub use kafka_protocol::messages::*;\n");
    for api in apis.iter().filter(|api| api.reason.is_some()) {
        let reason = api.reason.as_ref().context("no reason")?;
        writeln!(out, "\n// {}: {reason}.", api.name)?;
        for side in ["Request", "Response"] {
            let message = format!("{}{side}", api.name);
            let module = names::snake(&message);
            writeln!(out, "pub mod {module};")?;
            writeln!(out, "pub use self::{module}::{message};")?;
        }
    }
    Ok(out)
}

/// The table from an API to its shapes, by files of `shapes`.
pub(super) fn shapes(files: &[(String, Vec<&Api<'_>>)]) -> Result<String> {
    let mut out = super::header("Finds the shapes of an API's messages.");
    for (file, _) in files {
        writeln!(out, "mod {file};")?;
    }
    out.push_str("pub(crate) mod embedded;\n\n");
    out.push_str("use crate::api::ApiKey;\nuse crate::guard::shape::Shape;\n\n");
    for side in ["request", "response"] {
        writeln!(out, "/// The shape of the {side} of `api`.")?;
        if side == "request" {
            out.push_str("#[cfg_attr(not(feature = \"broker\"), allow(dead_code))]\n");
        }
        writeln!(out, "pub(crate) const fn {side}(api: ApiKey) -> &'static Shape {{")?;
        out.push_str("    match api {\n");
        for (file, apis) in files {
            for api in apis {
                let module = format!("{}_{side}", names::snake(&api.name));
                writeln!(out, "        ApiKey::{} => &{file}::{module}::SHAPE,", api.name)?;
            }
        }
        out.push_str("    }\n}\n\n");
    }
    Ok(out)
}
