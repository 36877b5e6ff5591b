//! Country codes that people type: only those of countries are meant.

use crate::atlas::BuiltIn;
use crate::engine::geo::Country;

/// Says what is wrong with a code that no country has (ISO 3166-1, and XK for Kosovo); `None` if there is one.
pub(super) fn unknown(country: Country) -> Option<String> {
    if BuiltIn::get().is_none_or(|table| table.has(country)) {
        return None;
    }
    let hint = if country.as_str() == "UK" { ": the United Kingdom is GB" } else { "" };
    Some(format!("no country has the code {country}{hint}"))
}
