# What is done often. `just` lists it.

_default:
    @just --list

# Everything that has to pass before a change lands.
ci:
    .ci/run

# Builds and replays the sample stories.
demo:
    cargo run --release -- replay sample-logs

# Measures the whole pipeline beside `wc -l`; prints ratios.
bench LINES="1000000":
    cargo bench --bench throughput -- {{LINES}}

# Measures how fast each format is read, beside combined.
bench-formats:
    cargo bench --bench formats
