//! A distribution of Kafka: the jars of one version, copied together by Maven.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell;

/// Whose tools stand in where a version's own were not published.
const TOOLS_FALLBACK: &str = "4.3.1";

/// The jars of one version of Kafka, on this machine.
#[derive(Clone, Debug)]
pub struct Distribution {
    libs: PathBuf,
}

impl Distribution {
    /// Finds the jars of `version`, or has Maven bring them.
    ///
    /// # Errors
    /// If Java or Maven is missing, or Maven cannot resolve the version.
    pub fn get(version: &str) -> Result<Self> {
        shell::require("java", "-version", "install a JDK, 17 or later (Debian: default-jdk)")?;
        let folder = home().join("dist").join(version);
        let done = folder.join("complete");
        let libs = folder.join("libs");
        if !done.exists() {
            shell::require("mvn", "-version", "install Maven, 3.8 or later (Debian: maven)")?;
            // Built aside and renamed, so that two that start at once cannot see half of it.
            let staging = home().join("dist").join(format!("{version}.{}", std::process::id()));
            fs::create_dir_all(&staging)?;
            fs::write(staging.join("pom.xml"), pom(version))?;
            shell::run(
                Command::new("mvn")
                    .args(["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=libs"])
                    .current_dir(&staging),
            )
            .with_context(|| format!("Maven could not bring Kafka {version}"))?;
            fs::write(staging.join("complete"), version)?;
            if fs::rename(&staging, &folder).is_err() {
                fs::remove_dir_all(&staging)?;
            }
        }
        Ok(Self { libs })
    }

    /// A Java command with these jars on its class path.
    #[must_use]
    pub fn java(&self, heap: &str) -> Command {
        let mut command = Command::new("java");
        command.arg(format!("-Xmx{heap}")).arg("-cp").arg(self.libs.join("*"));
        command
    }
}

/// Where distributions and clusters lie: below the workspace's `target`.
pub(super) fn home() -> PathBuf {
    shell::root().join("target").join("kafka")
}

/// Where the cluster `name` lies.
pub(super) fn cluster_folder(name: &str) -> PathBuf {
    home().join("clusters").join(Path::new(name))
}

fn pom(version: &str) -> String {
    // kafka-tools and kafka-tools-api 4.4.0 were not published: their neighbours serve.
    let (tools, exclusion) = if version == "4.4.0" {
        (TOOLS_FALLBACK, exclusion("kafka-tools-api"))
    } else {
        (version, String::new())
    };
    let api =
        if exclusion.is_empty() { String::new() } else { dependency("kafka-tools-api", tools, "") };
    // The tools of another version must not bring that version's libraries along.
    let tools_exclusions = if tools == version { String::new() } else { exclusion_of_all() };
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n<modelVersion>4.0.0</modelVersion>\n\
         <groupId>millstream</groupId><artifactId>kafka</artifactId><version>1</version>\n\
         <dependencies>{}{}{api}</dependencies>\n</project>\n",
        dependency("kafka_2.13", version, &exclusion),
        dependency("kafka-tools", tools, &tools_exclusions),
    )
}

fn dependency(artifact: &str, version: &str, exclusions: &str) -> String {
    format!(
        "<dependency><groupId>org.apache.kafka</groupId><artifactId>{artifact}</artifactId>\
         <version>{version}</version><exclusions>{exclusions}</exclusions></dependency>\n"
    )
}

fn exclusion(artifact: &str) -> String {
    format!(
        "<exclusion><groupId>org.apache.kafka</groupId><artifactId>{artifact}</artifactId></exclusion>"
    )
}

fn exclusion_of_all() -> String {
    ["kafka-clients", "kafka-server", "kafka-server-common", "kafka-group-coordinator"]
        .map(exclusion)
        .concat()
}
