#!/bin/sh
# Forty processes change the same three real files at once: a package.json, a Cargo.toml and a GitHub workflow. Each adds an entry
# of its own. Afterwards every entry is there, and every comment. For comparison, the same with `jq … > tmp && mv tmp file`.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cargo build --quiet --release --manifest-path "$root/Cargo.toml" --package filelatch-cli
PATH=${CARGO_TARGET_DIR:-$root/target}/release:$PATH
real=$root/crates/filelatch/tests/fixtures/real
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
cp "$real/express.package.json" package.json
cp "$real/once_cell.Cargo.toml" Cargo.toml
cp "$real/thiserror.ci.yml" ci.yml
cp package.json naive.json
mkdir before && cp package.json Cargo.toml ci.yml before/

echo "40 processes at once, each adding its own entry to 3 files:"
i=1
while [ $i -le 40 ]; do
  {
    filelatch update package.json ".scripts.\"job-$i\" = \"run $i\""
    filelatch update Cargo.toml ".features.\"job-$i\" = []"
    filelatch update ci.yml ".env.JOB_$i = \"$i\""
  } >acks.$i 2>&1 &
  i=$((i + 1))
done
wait
echo "  acknowledged: $(cat acks.* | grep -c -E '^[0-9a-f]{64}$') of 120"
for file in package.json:job- Cargo.toml:job- ci.yml:JOB_; do
  name=${file%:*}
  kept=$(grep -c "${file#*:}" "$name" || true)
  changed=$(diff "before/$name" "$name" | grep -c '^<' || true)
  echo "  $name: $kept of 40 entries are there; lines of the original that changed: $changed"
done

if command -v jq >/dev/null; then
  echo "the same with \`jq … > tmp && mv tmp naive.json\`:"
  i=1
  while [ $i -le 40 ]; do
    { jq ".scripts.\"job-$i\" = \"run $i\"" naive.json >tmp.$i && mv tmp.$i naive.json && touch ok.$i; } 2>/dev/null &
    i=$((i + 1))
  done
  wait
  echo "  reported success: $(ls ok.* 2>/dev/null | wc -l) of 40; entries that are there: $(grep -c job- naive.json || true)"
fi
