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

alerts() {
  promtool check config grafana/prometheus/scrape.yml
  promtool test rules grafana/prometheus/*.rules.test.yml
}

independent() { # clients and servers that are not ours
  local python script
  python=$(.ci/python tests/independent/requirements.txt)
  for script in tests/independent/check_*.py; do "$python" "$script" target/debug/wattkeeper; done
}

step 'format' cargo fmt --check
step 'texts' .ci/texts
step 'scripts' shell_texts
step 'service sandbox' .ci/unit-exposure
step 'dependencies' cargo deny --log-level error check bans licenses sources
step 'lints' cargo clippy --locked --all-targets -- -D warnings
step 'documentation' env RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items
step 'tests' cargo test --locked
step 'alerts' alerts
step 'independent peers' independent
echo "all held, in $SECONDS s"
