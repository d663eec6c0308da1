#!/usr/bin/env bash
# Everything that has to hold before a change goes in. .ci/run installs what it needs on Debian; .ci/long has what takes longer.
set -euo pipefail
cd "$(dirname "$0")"

missing=
for tool in cargo cargo-deny mosquitto mosquitto_sub prometheus promtool socat mbpoll curl jq python3 systemd-analyze; do
  command -v "$tool" >/dev/null || missing="$missing $tool"
done
if [ -n "$missing" ]; then
  echo "missing:$missing (on Debian, .ci/run installs them)" >&2
  exit 1
fi

step() { # step NAME COMMAND...
  local name=$1 start=$SECONDS
  shift
  echo "== $name"
  "$@"
  echo "-- $name: $((SECONDS - start)) s"
}

shell_texts() {
  local script
  for script in test.sh .ci/*; do bash -n "$script"; done
}

prometheus_rules() {
  local file
  for file in grafana/*.rules.yml; do promtool check rules "$file"; done
  for file in grafana/*.rules.test.yml; do promtool test rules "$file"; done
}

independent() { # peers that are not ours: pymodbus, pysunspec2, mosquitto, prometheus
  local python
  python=$(.ci/python tests/independent/requirements.txt)
  WATTKEEPER=$PWD/target/debug/wattkeeper "$python" -m pytest -q tests/independent
}

step 'format' cargo fmt --check
step 'texts' .ci/texts
step 'scripts' shell_texts
step 'service sandbox' .ci/unit-exposure
step 'dependencies' cargo deny --log-level error check bans licenses sources
step 'lints' cargo clippy --locked --all-targets -- -D warnings
step 'documentation' env RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items
step 'tests' cargo test --locked
step 'alert rules' prometheus_rules
step 'independent peers' independent
echo "all held, in $SECONDS s"
