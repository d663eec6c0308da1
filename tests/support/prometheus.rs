//! A real Prometheus on loopback that scrapes given targets every second; it ends with the value. The test that uses it
//! includes `support/ask.rs` as `ask` beside it.

#![allow(dead_code, reason = "each test uses its part")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::ask::{encoded, get};

const PATIENCE: Duration = Duration::from_secs(60);

/// A running Prometheus.
pub struct Prometheus {
    pub address: SocketAddr,
    /// Killed on drop.
    _process: Child,
    _data: TempDir,
}

/// One element of an instant vector.
#[derive(Debug)]
pub struct Sample {
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Prometheus {
    /// Starts one that scrapes `targets` under the job `wattkeeper` and evaluates our alert rules; it is ready on return.
    pub async fn scraping(targets: &[SocketAddr]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana/prometheus/wattkeeper.rules.yml");
        let targets: Vec<String> = targets.iter().map(|target| format!("\"{target}\"")).collect();
        let config = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}\n\
             rule_files: [\"{}\"]\n\
             scrape_configs:\n- job_name: wattkeeper\n  static_configs: [{{ targets: [{}] }}]\n",
            rules.display(),
            targets.join(", ")
        );
        let file = data.path().join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let mut process = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().join("data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("prometheus is installed");
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let listening = async {
            let mut seen = String::new();
            while let Some(line) = log.next_line().await.unwrap() {
                if let Some((_, address)) = line.split_once("msg=\"Listening on\" address=") {
                    return address.trim().parse().unwrap();
                }
                seen += &line;
                seen.push('\n');
            }
            panic!("prometheus ended:\n{seen}");
        };
        let address = timeout(PATIENCE, listening).await.expect("prometheus listens");
        // Its log must go on being read, or it blocks.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        let started = Self { address, _process: process, _data: data };
        until("prometheus is ready", async || get(address, "/-/ready").await.status == 200).await;
        started
    }

    /// An instant query.
    ///
    /// # Errors
    /// What Prometheus says against it.
    pub async fn query(&self, expression: &str) -> Result<Vec<Sample>, String> {
        let result = self.api(&format!("query?query={}", encoded(expression))).await?;
        let sample = |item: &Value| Sample {
            labels: serde_json::from_value(item["metric"].clone()).unwrap(),
            value: item["value"][1].as_str().unwrap().parse().unwrap(),
        };
        match result["resultType"].as_str() {
            Some("vector") => Ok(result["result"].as_array().unwrap().iter().map(sample).collect()),
            other => Err(format!("no vector but {other:?}")),
        }
    }

    /// The values of a label over the series that match.
    ///
    /// # Errors
    /// What Prometheus says against it.
    pub async fn label_values(&self, label: &str, matching: &str) -> Result<Vec<String>, String> {
        let values = self.api(&format!("label/{label}/values?match[]={}", encoded(matching))).await?;
        Ok(serde_json::from_value(values).unwrap())
    }

    /// The one value of an instant query; waits for it.
    pub async fn value(&self, expression: &str) -> f64 {
        self.wait_for(expression, |samples| samples.len() == 1).await[0].value
    }

    /// Waits until an instant query's answer is as wanted.
    pub async fn wait_for(&self, expression: &str, wanted: impl Fn(&[Sample]) -> bool) -> Vec<Sample> {
        let mut last = Vec::new();
        for _ in 0..PATIENCE.as_secs() * 5 {
            last = self.query(expression).await.unwrap_or_else(|error| panic!("{expression}: {error}"));
            if wanted(&last) {
                return last;
            }
            sleep(Duration::from_millis(200)).await;
        }
        panic!("{expression} never became as wanted; last: {last:?}");
    }

    /// Waits until each of `count` targets was scraped so often that rates can be reckoned.
    pub async fn wait_for_scrapes(&self, count: usize) {
        let scraped = "count_over_time(up{job=\"wattkeeper\"}[5m]) > 3 and up{job=\"wattkeeper\"} == 1";
        self.wait_for(scraped, |samples| samples.len() == count).await;
    }

    async fn api(&self, path: &str) -> Result<Value, String> {
        let answer = get(self.address, &format!("/api/v1/{path}")).await;
        let mut parsed: Value = serde_json::from_str(&answer.body).map_err(|error| format!("{error}: {answer:?}"))?;
        match parsed["status"].as_str() {
            Some("success") => Ok(parsed["data"].take()),
            _ => Err(parsed["error"].to_string()),
        }
    }
}

/// Waits until something holds.
async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    for _ in 0..PATIENCE.as_secs() * 10 {
        if holds().await {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("not within {PATIENCE:?}: {what}");
}
