//! The built-in rules, as text.

/// The built-in rules: file name and text, in alphabetical order.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("concurrent-use.yml", include_str!("../../../rules/concurrent-use.yml")),
    ("dead-token-tried.yml", include_str!("../../../rules/dead-token-tried.yml")),
    ("dormant-token-woke.yml", include_str!("../../../rules/dormant-token-woke.yml")),
    ("expired-token-accepted.yml", include_str!("../../../rules/expired-token-accepted.yml")),
    ("fan-out.yml", include_str!("../../../rules/fan-out.yml")),
    ("fleet-change.yml", include_str!("../../../rules/fleet-change.yml")),
    ("honeytoken-used.yml", include_str!("../../../rules/honeytoken-used.yml")),
    ("impossible-travel.yml", include_str!("../../../rules/impossible-travel.yml")),
    ("insecure-transport.yml", include_str!("../../../rules/insecure-transport.yml")),
    ("jwt-alg-none.yml", include_str!("../../../rules/jwt-alg-none.yml")),
    ("leaked-token-used.yml", include_str!("../../../rules/leaked-token-used.yml")),
    ("lifecycle.yml", include_str!("../../../rules/lifecycle.yml")),
    ("mfa-missing.yml", include_str!("../../../rules/mfa-missing.yml")),
    ("monitor-health.yml", include_str!("../../../rules/monitor-health.yml")),
    ("new-client.yml", include_str!("../../../rules/new-client.yml")),
    ("new-country.yml", include_str!("../../../rules/new-country.yml")),
    ("new-network.yml", include_str!("../../../rules/new-network.yml")),
    ("object-enumeration.yml", include_str!("../../../rules/object-enumeration.yml")),
    ("rate-spike.yml", include_str!("../../../rules/rate-spike.yml")),
    ("revoked-token-used.yml", include_str!("../../../rules/revoked-token-used.yml")),
    ("rotated-token-used.yml", include_str!("../../../rules/rotated-token-used.yml")),
    ("scope-violation.yml", include_str!("../../../rules/scope-violation.yml")),
    ("silence.yml", include_str!("../../../rules/silence.yml")),
    ("success-after-guessing.yml", include_str!("../../../rules/success-after-guessing.yml")),
    ("token-guessing.yml", include_str!("../../../rules/token-guessing.yml")),
    ("token-in-referer.yml", include_str!("../../../rules/token-in-referer.yml")),
    ("token-in-url.yml", include_str!("../../../rules/token-in-url.yml")),
    ("unusual-use.yml", include_str!("../../../rules/unusual-use.yml")),
    ("volume-spike.yml", include_str!("../../../rules/volume-spike.yml")),
    ("weak-token.yml", include_str!("../../../rules/weak-token.yml")),
];

/// Returns whether a rule file is one of [`BUILT_IN`].
#[must_use]
pub fn is_built_in(file: &str) -> bool {
    BUILT_IN.iter().any(|(ours, _)| *ours == file)
}
