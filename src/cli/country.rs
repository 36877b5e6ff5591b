//! Checks of country codes that people type.

use crate::atlas::BuiltIn;
use crate::engine::geo::Country;

/// Returns why a country code is wrong (no country of ISO 3166-1, nor XK for Kosovo); `None` if it is right.
pub(super) fn unknown(country: Country) -> Option<String> {
    if BuiltIn::get().is_none_or(|table| table.has(country)) {
        return None;
    }
    let hint = if country.as_str() == "UK" { ": the United Kingdom is GB" } else { "" };
    Some(format!("no country has the code {country}{hint}"))
}
