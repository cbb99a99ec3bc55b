# The commands of this project: `just --list`. `just ci` runs everything that CI runs.

# Show the whole system at work, in under a minute
demo:
    cargo run --locked -p ispmon-lab -- demo

# The tests, as CI and the README run them
test *ARGUMENTS:
    cargo test --workspace --locked --no-fail-fast {{ARGUMENTS}}

# Format, lints and documentation
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked

# The fault matrix in real networks, as root: all rows, or some by name
matrix ROWS="all":
    cargo test --locked -p ispmon-agent --test matrix -- --rows {{ROWS}}

# Random worlds against the independent oracle
oracle WORLDS="10000":
    ISPMON_WORLDS={{WORLDS}} cargo test --locked --profile worlds -p ispmon-agent --test scenarios -- oracle

# Memory, size, speed and start of agent and function, printed side by side
figures:
    cargo bench -p ispmon-lab --bench figures

# The queries against the rows of the case table, and on random timelines
queries COUNT="40":
    cargo build --locked -p ispmon-lab
    python3 infra/queries/cases.py target/debug/ispmon-lab
    target/debug/ispmon-lab timelines --seed 1 --count {{COUNT}} | python3 infra/queries/compare.py

# The templates against their snapshots
templates:
    infra/snapshot.sh --validate

# The deployment script against the real parser of the Azure CLI
deploy *PATTERN:
    infra/tests/run {{PATTERN}}

# The message catalog of systemd's journal, made from the log events
catalog:
    cargo run --locked -p ispmon-agent -- generate catalog >packaging/systemd/ispmon-agent.catalog

# Packages and archives into dist/
packages *PARTS:
    packaging/build {{PARTS}}

# The packages on real systemd in booted containers, as root
boxes *ARGUMENTS:
    packaging/tests/run {{ARGUMENTS}}

# Everything that CI runs
ci:
    .ci/run
