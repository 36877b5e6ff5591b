//! Mails to a server that says what the input says.

use std::sync::LazyLock;

use crate::scripted::Scripted;

/// How often a server speaks, at most: a mail takes nine answers.
const MAX_ANSWERS: usize = 16;

/// Reads an input as the answers of a mail server, each up to a NUL.
pub fn read_answers(input: &[u8]) {
    static SERVER: LazyLock<Scripted> = LazyLock::new(|| Scripted::new(None));
    let answers: Vec<&[u8]> = input.split(|byte| *byte == 0).take(MAX_ANSWERS).collect();
    SERVER.check(&answers);
}
