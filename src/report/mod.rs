//! What is told about all tokens at once: the sums of an audit, and its page.
//!
//! [`audit`] keeps the worst of any number of tokens, [`page`] makes one HTML file of them. Where they come from, and
//! what a finding is, others know.

pub mod audit;
pub mod page;
