# Common tasks. `just` lists them.

_default:
    @just --list

# Everything that has to pass before a change lands.
ci:
    .ci/run

# Runs all tests that SECURITY.md names (not its scripts), and provokes its faults in full; CI takes a sample of the slow ones.
torture:
    CI=true TORTURE=full cargo test --locked --no-fail-fast --lib --test torture --test it -- --nocapture

# Runs these tests N times, the slow ones sampled; prints how often each failed or did not run, even if interrupted.
torture-repeat N="20":
    .ci/repeat {{N}} lib torture it

# Writes, rotates, kills and stops for MINUTES; then every line must be counted once. Prints the table of SECURITY.md.
soak MINUTES="30" SEED="1":
    cargo bench --locked --bench soak -- {{MINUTES}} {{SEED}}

# The same plan with rsyslogd's imfile in place of the daemon; prints what it loses.
soak-peer MINUTES="30" SEED="1":
    cargo bench --locked --bench soak -- {{MINUTES}} {{SEED}} peer

# Draws docs/soak.svg from what a soak of each printed, with the same plan.
soak-figure OWN PEER:
    cargo bench --locked --bench soak -- draw {{OWN}} {{PEER}}

# Checks the crates for known vulnerabilities; needs the network and cargo-deny.
audit:
    cargo deny --locked check

# Builds and replays the sample stories.
demo:
    cargo run --release -- replay sample-logs

# Measures the whole pipeline beside what bounds it; prints ratios. Further settings: benches/throughput.rs.
bench LINES="1000000":
    cargo bench --locked --bench throughput -- {{LINES}}

# Measures each step alone, or those whose name contains NAME.
bench-steps NAME="":
    cargo bench --locked --bench steps -- {{NAME}}

# Measures the cost of a line by the number of principals, days and files; draws docs/growth.svg.
bench-growth LINES="2000000":
    cargo bench --locked --bench growth -- {{LINES}}

# Measures the daemon: from a line to an alert and a mail, at rest, with many tokens.
bench-live SECONDS="60" RATE="5000":
    cargo bench --locked --bench live -- {{SECONDS}} {{RATE}}

# Accepts the number of instructions that `replay --save` needs now; say why in the commit.
accept-instructions:
    .ci/instructions accept

# Measures how fast each format is read, compared with combined.
bench-formats:
    cargo bench --bench formats

# Measures the Judge alone: usages per second, bytes per principal.
bench-judge:
    cargo bench --bench judge

# Writes a labelled log for scoring: an invented company, with habits and attacks of its own.
traffic SEED DIR:
    cargo bench --bench traffic -- {{SEED}} {{DIR}}

# Scores the Judge and plain rules on a labelled log.
bench-detection DIR:
    cargo bench --bench detection -- {{DIR}}

# What the compiler adds for libFuzzer: which code an input reaches, and what it is compared with.
instrumented := "-Cpasses=sancov-module " + \
    "-Cllvm-args=-sanitizer-coverage-level=4 " + \
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters " + \
    "-Cllvm-args=-sanitizer-coverage-pc-table " + \
    "-Cllvm-args=-sanitizer-coverage-trace-compares"

# Fuzzes one parser: fuzz/README.md.
fuzz TARGET SECONDS="120":
    mkdir -p fuzz/corpus/{{TARGET}} fuzz/seeds/{{TARGET}} fuzz/artifacts/{{TARGET}}
    @just _fuzzer {{TARGET}} fuzz/corpus/{{TARGET}} fuzz/seeds/{{TARGET}} tests/formats -dict=fuzz/words.dict \
        -artifact_prefix=fuzz/artifacts/{{TARGET}}/ -max_total_time={{SECONDS}} -max_len=70000 -timeout=5

# Fuzzes every parser, two minutes each.
fuzz-all:
    for target in fuzz/fuzz_targets/*.rs; do just fuzz "$(basename "$target" .rs)" || exit 1; done

# Shortens an input that fails, for a minute.
fuzz-shorten TARGET INPUT:
    @just _fuzzer {{TARGET}} -minimize_crash=1 -max_total_time=60 -artifact_prefix=fuzz/artifacts/{{TARGET}}/ {{INPUT}}

# With `--target`, what runs at compile time is not instrumented: it would lack the fuzzer.
_fuzzer TARGET *OPTIONS:
    RUSTFLAGS="{{instrumented}}" cargo run --locked --profile fuzz --target "$(rustc --print host-tuple)" \
        --manifest-path fuzz/Cargo.toml --bin {{TARGET}} -- {{OPTIONS}}
